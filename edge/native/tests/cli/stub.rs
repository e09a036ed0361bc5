use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// An HTTP server on loopback that notes what it is asked and answers what it is told.
pub(crate) struct Stub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// A request, as far as it matters.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(its_name, _)| its_name == name).map(|(_, value)| value.as_str())
    }

    /// All of it but what every request has.
    pub(crate) fn text(&self) -> String {
        const EVERYWHERE: [&str; 5] =
            ["accept", "accept-encoding", "content-length", "host", "user-agent"];
        let mut text = self.line.clone();
        for (name, value) in
            self.headers.iter().filter(|(name, _)| !EVERYWHERE.contains(&name.as_str()))
        {
            write!(text, "\n{name}: {value}").expect("memory");
        }
        if !self.body.is_empty() {
            write!(text, "\n\n{}", self.body).expect("memory");
        }
        text
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Stub {
    /// Answers each request as `answer` says.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&requests), Arc::new(answer));
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &noted, answer.as_ref()));
            }
        });
        Self { address, requests }
    }

    /// Gives these answers, one after the other; a request too many gets 599.
    pub(crate) fn answers(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<Vec<_>>().into_iter());
        Self::start(move |_| {
            let next = answers.lock().expect("no test panics here").next();
            next.unwrap_or_else(|| Answer::new(599, "a request too many"))
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panics here").clone()
    }

    /// The texts of all requests so far.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.requests().iter().map(Request::text).collect()
    }
}

fn serve(stream: TcpStream, noted: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let Some(request) = read(&mut reader) else { return };
    let Answer { status, headers, body } = answer(&request);
    noted.lock().expect("no test panics here").push(request);
    let mut text = format!("HTTP/1.1 {status} Stub\r\nconnection: close\r\n");
    if status != 204 {
        write!(text, "content-length: {}\r\n", body.len()).expect("memory");
    }
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").expect("memory");
    }
    text.push_str("\r\n");
    text.push_str(&body);
    let mut stream = stream;
    // A client that went away is a test that fails elsewhere.
    let _ = stream.write_all(text.as_bytes());
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    headers.sort();
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut request = Request { line, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |text| text.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).expect("UTF-8");
    Some(request)
}
