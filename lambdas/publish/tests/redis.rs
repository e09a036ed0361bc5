//! Redis, against a stand-in that speaks its protocol.
#![expect(clippy::unwrap_used, reason = "a test that fails has said what it had to say")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use waypost_publish::RedisStore;
use waypost_service::publish::memory::current;
use waypost_service::publish::{EdgeStore, Kept, Mark, Put, Removal, StoreFault};
use waypost_wire::record::Generation;
use waypost_wire::time::Timestamp;

type Command = Vec<Vec<u8>>;

#[derive(Default)]
struct Server {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    commands: Vec<Vec<String>>,
    /// The next commands are answered so; empty: the connection ends.
    answers: Vec<Vec<u8>>,
}

async fn started() -> (Arc<Mutex<Server>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/3", listener.local_addr().unwrap());
    let server = Arc::<Mutex<Server>>::default();
    let shared = Arc::clone(&server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&shared)));
        }
    });
    (server, url)
}

async fn serve(stream: TcpStream, server: Arc<Mutex<Server>>) {
    let mut stream = BufReader::new(stream);
    while let Some(command) = command(&mut stream).await {
        let answer = answer(&mut server.lock().unwrap(), &command);
        if answer.is_empty() || stream.get_mut().write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn command(stream: &mut BufReader<TcpStream>) -> Option<Command> {
    let mut parts = Vec::new();
    for _ in 0..number(stream, "*").await? {
        let length = number(stream, "$").await?;
        let mut part = vec![0; length + 2];
        stream.read_exact(&mut part).await.ok()?;
        part.truncate(length);
        parts.push(part);
    }
    Some(parts)
}

async fn number(stream: &mut BufReader<TcpStream>, sign: &str) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim_end().strip_prefix(sign)?.parse().ok()
}

fn bulk(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

fn array(parts: &[Vec<u8>]) -> Vec<u8> {
    [format!("*{}\r\n", parts.len()).into_bytes(), parts.concat()].concat()
}

fn answer(server: &mut Server, command: &Command) -> Vec<u8> {
    let told: Vec<String> =
        command.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    if told[0] == "CLIENT" {
        return b"+OK\r\n".to_vec();
    }
    server.commands.push(told.clone());
    if !matches!(told[0].as_str(), "SELECT" | "AUTH") && !server.answers.is_empty() {
        return server.answers.remove(0);
    }
    match told[0].as_str() {
        "AUTH" if told.last().unwrap() != "sesame" => b"-WRONGPASS no\r\n".to_vec(),
        "SELECT" | "AUTH" => b"+OK\r\n".to_vec(),
        "MSET" | "SET" => {
            for pair in command[1..].chunks(2) {
                server.values.insert(pair[0].clone(), pair[1].clone());
            }
            b"+OK\r\n".to_vec()
        }
        "DEL" => {
            let count = command[1..].iter().filter(|key| server.values.remove(*key).is_some());
            format!(":{}\r\n", count.count()).into_bytes()
        }
        "MGET" => {
            let value = |key| server.values.get(key).map_or(b"$-1\r\n".to_vec(), |v| bulk(v));
            array(&command[1..].iter().map(value).collect::<Vec<_>>())
        }
        "SCAN" => {
            // Two keys at a time, and the last one of each page once more.
            let from: usize = told[1].parse().unwrap();
            let keys: Vec<_> = server.values.keys().skip(from).take(2).map(|k| bulk(k)).collect();
            let next = if from + 2 < server.values.len() { from + 2 } else { 0 };
            let twice = keys.iter().chain(keys.last()).cloned().collect::<Vec<_>>();
            array(&[bulk(next.to_string().as_bytes()), array(&twice)])
        }
        other => format!("-ERR unknown command {other}\r\n").into_bytes(),
    }
}

fn record(link_id: u64) -> (Vec<u8>, Mark) {
    let record = current(Generation { link_id, version: 3 }, false, Timestamp(0)).record;
    let mark = Mark::of(&record).unwrap();
    (record, mark)
}

#[tokio::test]
async fn records_are_put_listed_and_removed() {
    let (server, url) = started().await;
    let store = RedisStore::new("redis", &url, None).unwrap();
    let records: Vec<_> = (1..=3).map(record).collect();
    let keys = ["s.example/a", "s.example/é", "s.example/c"];
    let puts: Vec<Put<'_>> = keys
        .iter()
        .zip(&records)
        .map(|(key, (record, mark))| Put { key, record, mark: *mark })
        .collect();
    assert_eq!(store.put(&puts).await, Ok(vec![Kept::Stored; 3]));
    assert_eq!(store.put_state(&[0, 255]).await, Ok(Kept::Stored));
    let damaged = b"s.example/damaged".to_vec();
    server.lock().unwrap().values.insert(damaged, b"damaged".to_vec());
    server.lock().unwrap().values.insert(vec![0xff, 0xfe], b"no text".to_vec());
    let (mut listed, mut cursor) = (BTreeMap::new(), None);
    loop {
        let page = store.list(cursor.as_deref()).await.unwrap();
        listed.extend(page.keys);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut expected: BTreeMap<String, Option<Mark>> =
        puts.iter().map(|put| (put.key.to_owned(), Some(put.mark))).collect();
    expected.insert("!state".to_owned(), None);
    expected.insert("s.example/damaged".to_owned(), None);
    assert_eq!(listed, expected);
    let found = store.marks(&["s.example/none", "s.example/a", "s.example/damaged"]).await;
    assert_eq!(found, Ok(vec![None, Some(Some(records[0].1)), Some(None)]));
    assert_eq!(store.marks(&[]).await, Ok(vec![]));
    let generation = Generation::default();
    let removals = ["s.example/a", "s.example/none"].map(|key| Removal { key, generation });
    assert_eq!(store.remove(&removals).await, Ok(vec![Kept::Stored; 2]));
    let server = server.lock().unwrap();
    assert_eq!(server.values.len(), 5);
    assert_eq!(server.values["s.example/é".as_bytes()], records[1].0);
    assert_eq!(server.values[b"!state".as_slice()], [0, 255]);
    assert_eq!(server.commands[0], ["SELECT", "3"]);
    assert_eq!(server.commands.last().unwrap(), &["DEL", "s.example/a", "s.example/none"]);
    let selects = server.commands.iter().filter(|command| command[0] == "SELECT").count();
    assert_eq!(selects, 1, "one connection");
}

#[tokio::test]
async fn what_is_refused_is_told_apart_from_what_may_pass() {
    let (server, url) = started().await;
    let store = RedisStore::new("redis", &url, None).unwrap();
    for (answer, is_passing) in [
        ("", true),
        ("-LOADING Redis is loading the dataset in memory\r\n", true),
        ("-READONLY You can't write against a read only replica.\r\n", true),
        ("-OOM command not allowed when used memory > 'maxmemory'\r\n", true),
        ("-MISCONF Redis is configured to save RDB snapshots\r\n", true),
        ("-NOPERM this user has no permissions to run the 'mset' command\r\n", false),
        ("-NOAUTH Authentication required.\r\n", false),
        ("-MOVED 3999 127.0.0.1:6381\r\n", false),
        ("$3\r\nabc\r\n", false),
    ] {
        server.lock().unwrap().answers = vec![answer.as_bytes().to_vec()];
        let (record, mark) = record(1);
        let put = Put { key: "s.example/a", record: &record, mark };
        let command = [Removal { key: "s.example/a", generation: mark.generation }];
        let fault = match answer.starts_with('$') {
            true => store.remove(&command).await.unwrap_err(),
            false => store.put(&[put]).await.unwrap_err(),
        };
        assert_eq!(fault.may_pass(), is_passing, "{answer}: {fault}");
        // The next call works again.
        assert_eq!(store.put(&[put]).await, Ok(vec![Kept::Stored]), "{answer}");
    }
}

#[tokio::test]
async fn the_password_is_given_and_never_shown() {
    let (server, url) = started().await;
    let url = url.replace("redis://", "redis://me@");
    let store = RedisStore::new("redis", &url, Some("sesame")).unwrap();
    assert_eq!(store.put_state(b"x").await, Ok(Kept::Stored));
    let auth = server.lock().unwrap().commands[0].clone();
    assert_eq!(auth, ["AUTH", "me", "sesame"]);
    let store = RedisStore::new("redis", &url, Some("secret")).unwrap();
    let fault = store.put_state(b"x").await.unwrap_err();
    assert!(matches!(fault, StoreFault::Refused(_)), "{fault:?}");
    assert!(!format!("{fault} {store:?}").contains("secret"));
}

#[tokio::test]
async fn an_address_where_nobody_is_may_pass_and_one_that_is_none_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = RedisStore::new("redis", &url, None).unwrap();
    let fault = store.put_state(b"x").await.unwrap_err();
    assert!(matches!(fault, StoreFault::Unavailable(_)), "{fault:?}");
    assert!(matches!(RedisStore::new("redis", "what", None), Err(StoreFault::Refused(_))));
    assert!(RedisStore::new("redis", "rediss://kv.example:6380", None).is_ok());
}
