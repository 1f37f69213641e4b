//! A JSON object whose members are written one by one, those without a value left out.
//!
//! Owns commas and braces. Knows no record. Invariants: the text is a JSON object whatever the values are; texts out of packets are
//! escaped and bounded as [`super::json`] does it; an object without members is not there.

use super::address::push_ip;
use super::json::{push_text, push_texts};
use super::number::push_number;
use super::text::{TextBuffer, TextEnd};
use std::net::IpAddr;

/// An open object; every member ends with a comma.
pub(super) struct JsonMembers<'a> {
    text: TextEnd<'a>,
    /// Members of the innermost object so far.
    count: u32,
}

impl<'a> JsonMembers<'a> {
    /// Begins an object.
    pub fn open(out: &'a mut TextBuffer) -> Self {
        let mut text = out.open();
        text.byte(b'{');
        Self { text, count: 0 }
    }

    /// Ends the object and its line.
    pub fn close(mut self) {
        if self.count > 0 {
            self.text.shorten(1);
        }
        self.text.word(b"}\n");
        self.text.close();
    }

    fn name(&mut self, name: &str) {
        self.count += 1;
        self.text.byte(b'"');
        self.text.word(name.as_bytes());
        self.text.word(b"\":");
    }

    /// A text out of packets.
    pub fn text(&mut self, name: &str, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        self.name(name);
        push_text(&mut self.text, value);
        self.text.byte(b',');
    }

    /// A word of ours, which needs no escapes.
    pub fn word(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.name(name);
        self.text.byte(b'"');
        self.text.word(value.as_bytes());
        self.text.word(b"\",");
    }

    /// What is no string, as JSON writes it: a number of ours.
    pub fn literal(&mut self, name: &str, push: impl FnOnce(&mut TextEnd<'_>)) {
        self.name(name);
        push(&mut self.text);
        self.text.byte(b',');
    }

    /// A string of ours that is put together.
    pub fn quoted(&mut self, name: &str, push: impl FnOnce(&mut TextEnd<'_>)) {
        self.literal(name, |text| {
            text.byte(b'"');
            push(text);
            text.byte(b'"');
        });
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.literal(name, |text| push_number(text, value));
        }
    }

    /// A truth.
    pub fn truth(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.literal(name, |text| text.word(if value { b"true" } else { b"false" }));
        }
    }

    /// An address.
    pub fn address(&mut self, name: &str, ip: IpAddr) {
        self.literal(name, |text| {
            text.byte(b'"');
            push_ip(text, ip, b'"');
        });
    }

    /// Several texts out of packets; left out where there is none.
    pub fn texts<'t>(&mut self, name: &str, values: impl Iterator<Item = &'t [u8]>) {
        let mut values = values.peekable();
        if values.peek().is_some() {
            self.literal(name, |text| {
                text.byte(b'[');
                push_texts(text, values);
                text.byte(b']');
            });
        }
    }

    /// Several numbers; left out where there is none.
    pub fn numbers(&mut self, name: &str, values: &[u16]) {
        if values.is_empty() {
            return;
        }
        self.literal(name, |text| {
            text.byte(b'[');
            for &value in values {
                push_number(text, value.into());
                text.byte(b',');
            }
            text.shorten(1);
            text.byte(b']');
        });
    }

    /// An object in this one.
    pub fn object(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        let count = std::mem::take(&mut self.count);
        self.name(name);
        self.count = 0;
        self.text.byte(b'{');
        members(self);
        if self.count == 0 {
            // The name with its quotes and colon, and the brace.
            self.text.shorten(name.len() + 4);
            self.count = count;
        } else {
            self.text.shorten(1);
            self.text.word(b"},");
            self.count = count + 1;
        }
    }

    /// An object in this one that is there without members, too.
    pub fn whole_object(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.name(name);
        let count = std::mem::take(&mut self.count);
        self.element(members);
        self.count = count;
    }

    /// Several objects; left out where there is none.
    pub fn objects<T>(&mut self, name: &str, items: impl Iterator<Item = T>, members: impl Fn(&mut Self, T)) {
        let mut items = items.peekable();
        if items.peek().is_none() {
            return;
        }
        self.name(name);
        let count = std::mem::take(&mut self.count);
        self.text.byte(b'[');
        for item in items {
            self.element(|object| members(object, item));
        }
        self.text.shorten(1);
        self.text.word(b"],");
        self.count = count;
    }

    /// An object and the comma behind it.
    fn element(&mut self, members: impl FnOnce(&mut Self)) {
        self.count = 0;
        self.text.byte(b'{');
        members(self);
        if self.count > 0 {
            self.text.shorten(1);
        }
        self.text.word(b"},");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(members: impl FnOnce(&mut JsonMembers<'_>)) -> String {
        let (mut buffer, mut out) = (TextBuffer::default(), Vec::new());
        let mut object = JsonMembers::open(&mut buffer);
        members(&mut object);
        object.close();
        buffer.write(&mut out).expect("memory takes all");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn what_has_no_value_is_not_there() {
        let none = written(|object| {
            object.text("a", None);
            object.object("b", |inner| inner.object("c", |innermost| innermost.number("d", None)));
            object.texts("e", std::iter::empty());
            object.numbers("f", &[]);
            object.objects("g", std::iter::empty::<u8>(), |_, _| ());
        });
        assert_eq!(none, "{}\n");
    }

    #[test]
    fn objects_nest_and_texts_are_escaped() {
        let all = written(|object| {
            object.object("empty", |_| ());
            object.whole_object("whole", |_| ());
            object.object("x", |inner| {
                inner.text("t", Some("\"\n\u{202e}".as_bytes()));
                inner.object("nothing", |_| ());
                inner.truth("b", Some(false));
            });
            object.objects("list", [1, 0, 2].into_iter(), |item, count| (0..count).for_each(|at| item.number("n", Some(at))));
            object.numbers("vlan", &[5, 6]);
            object.texts("s", [b"a".as_slice(), b"\xff"].into_iter());
            object.address("ip", [192, 0, 2, 1].into());
            object.word("end", Some("1:x="));
        });
        let expected = "{\"whole\":{},\"x\":{\"t\":\"\\\"\\n\\u202e\",\"b\":false},\"list\":[{\"n\":0},{},{\"n\":0,\"n\":1}],\"vlan\":[5,6],\
                        \"s\":[\"a\",\"\u{fffd}\"],\"ip\":\"192.0.2.1\",\"end\":\"1:x=\"}\n";
        assert_eq!(all, expected);
    }
}
