//! The load generator reads answers in chunks of any size, however they arrive.

#[path = "../../../benches/load/chunked.rs"]
mod chunked;

use chunked::decode;

#[test]
fn a_body_in_chunks_is_read_when_its_end_is_there() {
    let sent = b"5\r\nhello\r\n1;name=value\r\n \r\nA\r\n0123\r\n6789\r\n0\r\n\r\n";
    let whole = decode(sent).expect("it is well formed");
    assert_eq!(whole, Some((b"hello 0123\r\n6789".to_vec(), sent.len())));
    for length in 0..sent.len() {
        assert_eq!(
            decode(&sent[..length]).expect("it is well formed"),
            None,
            "{length}"
        );
    }
}

#[test]
fn what_follows_a_body_in_chunks_is_no_part_of_it() {
    let two = b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n";
    assert_eq!(
        decode(two).expect("it is well formed"),
        Some((b"ok".to_vec(), 12))
    );
}

#[test]
fn a_malformed_chunk_is_refused() {
    for sent in [
        "x\r\nhello\r\n",
        "\r\n\r\n",
        "2\r\nhello\r\n",
        "0\r\nname: value\r\n\r\n",
    ] {
        decode(sent.as_bytes()).expect_err(sent);
    }
}
