// Requests to the server. All addresses are relative to the document, so that a path prefix works.

export class ApiError extends Error {
  constructor(status, error) {
    super(error.message ?? `the server answered ${status}`);
    this.name = 'ApiError';
    this.status = status;
    this.code = error.code ?? 'unavailable';
    this.column = error.column ?? null;
    this.expected = error.expected ?? [];
    this.hint = error.hint ?? null;
    this.retryAfter = error.retryAfter ?? null;
  }
}

// An absolute address of `path`; one that does not start with `api/` or `metrics` is below `api/v1/`. Arrays give a parameter several times,
// null and undefined leave it out.
export function url(path, params = {}) {
  const full = /^(api\/|metrics$)/.test(path) ? path : `api/v1/${path}`;
  const address = new URL(full, document.baseURI);
  for (const [name, value] of Object.entries(params ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined) address.searchParams.append(name, one);
  }
  return address.href;
}

// Asks and returns the JSON. `options`: method, body (sent as JSON), signal, timeout_ms (15,000).
// Throws ApiError; status 0 when there was no answer.
export async function api(path, params = {}, options = {}) {
  const timeout = AbortSignal.timeout(options.timeout_ms ?? 15000);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  const has_body = options.body !== undefined;
  let response;
  try {
    response = await fetch(url(path, params), {
      method: options.method ?? (has_body ? 'POST' : 'GET'), signal, headers: has_body ? { 'content-type': 'application/json' } : {},
      body: has_body ? JSON.stringify(options.body) : undefined, credentials: 'same-origin',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, { code: 'unavailable', message: error.name === 'TimeoutError' ? 'the server did not answer in time' : 'the server cannot be reached' });
  }
  const text = await response.text();
  let body = null;
  try { body = text ? JSON.parse(text) : null; } catch { throw new ApiError(response.status, { code: 'unavailable', message: 'the answer is no JSON' }); }
  if (!response.ok) throw new ApiError(response.status, { ...(body?.error ?? {}), retryAfter: Number(response.headers.get('retry-after')) || null });
  return body;
}
