//! The suite of the wire, with a server that speaks raw HTTP/1.1 so that it can misbehave to the byte.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request, Response, StatusCode};
use shared::ports::{Body, Http, HttpError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Barrier,
};

/// What may stand in a request and must not stand in an error.
const CANARY: &str = "canary-8d1f";

/// A server that answers as its paths say; gone when dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let (counter, together) = (requests.clone(), Arc::new(Barrier::new(4)));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, counter.clone(), together.clone()));
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    fn request(&self, method: Method, path: &str, body: &'static str) -> Request<Bytes> {
        let uri = format!("http://{}{path}?secret={CANARY}", self.address);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", format!("Bearer {CANARY}"));
        request
            .header("prefer", "odata.maxpagesize=200")
            .body(Bytes::from_static(body.as_bytes()))
            .expect("a request")
    }

    /// How many requests have come.
    pub fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut socket: TcpStream, requests: Arc<AtomicUsize>, together: Arc<Barrier>) {
    let mut text = Vec::new();
    loop {
        let Some(request) = read_request(&mut socket, &mut text).await else {
            return;
        };
        requests.fetch_add(1, Ordering::SeqCst);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let close = ["/cut", "/cut-chunked", "/drop", "/garbage"].contains(&path);
        let answer = match path {
            "/echo" => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{request}", request.len()),
            "/redirect" => {
                "HTTP/1.1 302 Found\r\nlocation: /echo\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n".into()
            }
            "/throttled" => "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nslow".into(),
            "/unavailable" => "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".into(),
            "/chunked" => {
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".into()
            }
            "/gzip" => "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nraw".into(),
            "/cut" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this".into(),
            "/cut-chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n".into(),
            "/garbage" => "this is not HTTP\r\n\r\n".into(),
            "/stall" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin".into(),
            "/together" => {
                together.wait().await;
                "HTTP/1.1 204 No Content\r\n\r\n".into()
            }
            _ => String::new(),
        };
        if socket.write_all(answer.as_bytes()).await.is_err() || close {
            return;
        }
    }
}

/// Head and body of the next request, or nothing at the end of the connection.
async fn read_request(socket: &mut TcpStream, text: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(head) = text.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) {
            let lines = String::from_utf8_lossy(&text[..head]).to_ascii_lowercase();
            let length = lines
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|number| number.parse().ok());
            let end = head + length.unwrap_or(0);
            if text.len() >= end {
                let rest = text.split_off(end);
                return Some(String::from_utf8_lossy(&std::mem::replace(text, rest)).into_owned());
            }
        }
        if socket.read_buf(text).await.ok()? == 0 {
            return None;
        }
    }
}

async fn text(answer: Response<Body>) -> Result<String, HttpError> {
    let bytes: Vec<Bytes> = answer.into_body().try_collect().await?;
    Ok(String::from_utf8_lossy(&bytes.concat()).into_owned())
}

/// The adapter twice, letting through these origins (comma-separated): with its own deadlines, and with deadlines of a
/// fraction of a second, so that their passing can be seen.
pub type Open<'a> = dyn Fn(&str) -> (Arc<dyn Http>, Arc<dyn Http>) + 'a;

/// Everything the contract says.
pub async fn all(open: &Open<'_>) {
    let server = Server::start().await;
    // A port nobody listens on: it was just free.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("bind")
        .local_addr()
        .expect("an address");
    let trusted = format!(
        "http://{}, http://{free}, http://no-such-host.invalid=127.0.0.0/8",
        server.address
    );
    let (http, hasty) = open(&trusted);
    let http = &http;
    let get = |path: &str| http.call(server.request(Method::GET, path, ""));

    let echo = text(
        http.call(server.request(Method::PATCH, "/echo", "{\"isRead\":true}"))
            .await
            .expect("call"),
    )
    .await
    .expect("text");
    let head = echo.to_ascii_lowercase();
    assert!(
        echo.starts_with(&format!("PATCH /echo?secret={CANARY} HTTP/1.1\r\n")) && echo.ends_with("{\"isRead\":true}"),
        "{echo}"
    );
    assert!(
        head.contains("prefer: odata.maxpagesize=200\r\n") && head.contains("user-agent: postroom/"),
        "{echo}"
    );
    assert!(
        !head.contains("accept-encoding") && !head.contains("cookie") && !head.contains("referer"),
        "{echo}"
    );

    let before = server.count();
    let answer = get("/redirect").await.expect("call");
    assert_eq!(
        (answer.status(), answer.headers()["location"].to_str().expect("text")),
        (StatusCode::FOUND, "/echo")
    );
    assert_eq!(server.count(), before + 1, "a redirect is not followed");
    let echo = text(get("/echo").await.expect("call")).await.expect("text");
    assert!(
        !echo.to_ascii_lowercase().contains("cookie"),
        "a cookie is kept: {echo}"
    );

    let answer = get("/throttled").await.expect("call");
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["retry-after"].to_str().expect("text")
        ),
        (429, "7")
    );
    assert_eq!(text(answer).await.expect("text"), "slow");
    let before = server.count();
    assert_eq!(
        get("/unavailable").await.expect("call").status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(server.count(), before + 1, "nothing is tried again");
    assert_eq!(text(get("/chunked").await.expect("call")).await.expect("text"), "abcde");
    let answer = get("/gzip").await.expect("call");
    assert_eq!(
        text(answer).await.expect("text"),
        "raw",
        "the bytes are handed on as they come"
    );

    broken(&server, http, free).await;
    late(&server, &hasty).await;
    closed(&server, &open("").0).await;

    // Four calls at once: the server answers none before it has all four.
    let calls = futures::future::join_all((0..4).map(|_| get("/together"))).await;
    assert!(
        calls
            .into_iter()
            .all(|answer| answer.is_ok_and(|answer| answer.status() == StatusCode::NO_CONTENT))
    );
}

async fn broken(server: &Server, http: &Arc<dyn Http>, free: SocketAddr) {
    for path in ["/cut", "/cut-chunked"] {
        let mut body = http
            .call(server.request(Method::GET, path, ""))
            .await
            .expect("the head comes")
            .into_body();
        let mut last = None;
        while let Some(chunk) = body.next().await {
            last = Some(chunk);
        }
        match last {
            Some(Err(error @ HttpError::Broken { .. })) => silent(&error),
            other => panic!("{path} ended with {other:?}"),
        }
    }
    for path in ["/drop", "/garbage"] {
        match http.call(server.request(Method::GET, path, "")).await {
            Err(error @ HttpError::Broken { .. }) => silent(&error),
            Err(error) => panic!("{path} answered {error:?}"),
            Ok(answer) => panic!("{path} answered {}", answer.status()),
        }
    }
    for host in [free.to_string(), "no-such-host.invalid".to_owned()] {
        let request = Request::get(format!("http://{host}/path?secret={CANARY}"))
            .body(Bytes::new())
            .expect("a request");
        match http.call(request).await {
            Err(error @ HttpError::Connect { .. }) => silent(&error),
            Err(error) => panic!("{host} answered {error:?}"),
            Ok(answer) => panic!("{host} answered {}", answer.status()),
        }
    }
}

/// Nobody let this server through: it is not even connected to.
async fn closed(server: &Server, http: &Arc<dyn Http>) {
    let before = server.count();
    match http.call(server.request(Method::GET, "/echo", "")).await {
        Err(error @ HttpError::Closed { .. }) => silent(&error),
        Err(error) => panic!("a closed place is {error:?}"),
        Ok(answer) => panic!("a closed place is {}", answer.status()),
    }
    assert_eq!(server.count(), before);
}

async fn late(server: &Server, hasty: &Arc<dyn Http>) {
    match hasty.call(server.request(Method::GET, "/silent", "")).await {
        Err(error @ HttpError::Timeout { .. }) => silent(&error),
        Err(error) => panic!("an answer that never comes is {error:?}"),
        Ok(answer) => panic!("an answer that never comes is {}", answer.status()),
    }
    let mut body = hasty
        .call(server.request(Method::GET, "/stall", ""))
        .await
        .expect("the head comes")
        .into_body();
    assert_eq!(body.next().await.expect("a chunk").expect("bytes"), "begin");
    assert!(
        matches!(body.next().await, Some(Err(HttpError::Timeout { .. }))),
        "a body that stops coming"
    );
    assert!(body.next().await.is_none(), "a body ends after its error");
}

/// Neither query nor header is in what people read.
fn silent(error: &HttpError) {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(CANARY), "{text}");
}
