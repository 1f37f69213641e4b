//! `/api/v1/capture`: packets as a pcapng file, from the flight recorder.
//!
//! Owns its parameters. Knows no ring. Invariants: a file that is streamed was complete; one that was made for a request is gone
//! behind it, and a request that is gone ends its recording; at most two are under way, recordings included.

use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::params::Params;
use super::responding::download;
use super::session::compiled;
use super::unix::seconds;
use crate::dashboard::{ApiRequest, ApiResponse};
use crate::flight::{FlightQuestion, FlightReply, FlightRequest, FlightRequests, RecordingStore};
use netscope_backends::Timestamp;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// One of the few downloads at once; shared by a request and the recording that is made for it.
type CapturePlace = Arc<OwnedSemaphorePermit>;

/// Content type of pcapng (draft-ietf-opsawg-pcapng).
const PCAPNG: &str = "application/x-pcapng";
/// Longest wait for a recording that is asked for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A recording is complete so long after its end, in ns: the recorder waits for late queues, and the disk takes its time.
const COMPLETION_NS: u64 = 10 * Timestamp::NS_PER_SEC;

/// The answer.
///
/// # Errors
/// When a parameter is wrong, there is no recorder, or the packets are not there yet or any more.
pub async fn answer(board: &Arc<Board>, request: &ApiRequest) -> Result<ApiResponse, ApiError> {
    let params = Params::new(&request.query, &["alert", "bpf", "from", "to"], &[])?;
    let Some((requests, store)) = board.hooks.flight.clone() else {
        let error = ApiError::not_found("this run keeps no packets");
        return Err(error.with_hint("start it with --recorder DIR"));
    };
    let place = Arc::new(board.downloads.capture()?);
    if let Some(id) = params.text("alert") {
        if ["bpf", "from", "to"].iter().any(|name| params.text(name).is_some()) {
            return Err(ApiError::bad_request("alert stands alone"));
        }
        return of_alert(board, &store, id, place).await;
    }
    on_demand(board, &requests, params, place).await
}

/// The recording of an alert.
async fn of_alert(board: &Board, store: &RecordingStore, id: &str, place: CapturePlace) -> Result<ApiResponse, ApiError> {
    let (path, told) = {
        let alerts = board.alerts();
        let kept = alerts.get(id).ok_or_else(|| ApiError::not_found("there is no such alert, or it is not kept any more"))?;
        let path = kept.alert.recording.as_ref().map(PathBuf::from);
        (path.ok_or_else(|| ApiError::not_found("there is no recording of this alert"))?, kept.told)
    };
    let opened = board.heavy({
        let path = path.clone();
        move || Ok(File::open(path))
    });
    match opened.await? {
        Ok(file) => Ok(stream(file, &path, place)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (end, now) = (store.end_of(told), board.report().map_or(Timestamp(0), |report| report.time));
            if !board.has_ended() && now < end.plus(COMPLETION_NS) {
                let message = format!("still being recorded until {}", seconds(end));
                return Err(ApiError::not_yet(message, end.since(now) / Timestamp::NS_PER_SEC + 2));
            }
            Err(ApiError::new(ErrorCode::Gone, "the recording was deleted, or could not be written"))
        }
        Err(error) => Err(ApiError::new(ErrorCode::Unavailable, format!("the recording cannot be read: {error}"))),
    }
}

/// Packets in memory.
async fn on_demand(
    board: &Arc<Board>,
    requests: &FlightRequests,
    params: Params<'_>,
    place: CapturePlace,
) -> Result<ApiResponse, ApiError> {
    let (from, to) = (params.time("from")?, params.time("to")?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(ApiError::bad_request("from is before to"));
    }
    let filter = match params.text("bpf").map(str::to_owned) {
        Some(text) => Some(Box::new(board.heavy(move || compiled(&text)).await?)),
        None => None,
    };
    let (sender, receiver) = oneshot::channel();
    // As long as this is there, somebody waits for the recording. The recording keeps the place until it has ended, too.
    let asker = Arc::new(());
    let (passing, recording_place) = (board.downloads.file(), Arc::clone(&place));
    let tell = move |result: Result<PathBuf, String>| {
        // Where nobody takes it, the file goes with the message.
        let _taken = sender.send(result.map(passing));
        drop(recording_place);
    };
    let reply = FlightReply::new(tell, Arc::downgrade(&asker));
    if !requests.ask(FlightRequest::Asked(FlightQuestion { filter, from, to, reply }), false) {
        let error = ApiError::new(ErrorCode::Busy, "the flight recorder takes no more requests now");
        return Err(error);
    }
    let lost = || ApiError::new(ErrorCode::Unavailable, "the flight recorder could not write these packets");
    let made = match tokio::time::timeout(PATIENCE, receiver).await {
        Ok(Ok(result)) => result.map_err(|why| ApiError::new(ErrorCode::Unavailable, why))?,
        Ok(Err(_)) => return Err(lost()),
        Err(_) => return Err(ApiError::new(ErrorCode::Busy, "the packets were not written in time")),
    };
    let opened = board.heavy(move || {
        let (file, path) = (File::open(made.path()), made.path().to_owned());
        // The open file stays readable; its name goes, so that nothing is left whatever becomes of the client.
        let removed = made.remove();
        file.and_then(|file| removed.map(|()| (file, path)))
            .map_err(|error| ApiError::new(ErrorCode::Unavailable, format!("the packets cannot be read: {error}")))
    });
    let (file, path) = opened.await?;
    drop(asker);
    Ok(stream(file, &path, place))
}

fn stream(mut file: File, path: &Path, place: CapturePlace) -> ApiResponse {
    // Names that the recorder makes have letters, digits and `._-` alone.
    let name = path.file_name().map_or_else(|| "packets.pcapng".to_owned(), |name| name.to_string_lossy().into_owned());
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    download(PCAPNG, &name, place, move |out| io::copy(&mut file, out).map(|_| ()))
}
