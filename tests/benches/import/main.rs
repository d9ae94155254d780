//! How fast an import is: the real binary, a simulated tenant in this process over TLS, a table of ratios at the end.
//!
//! `make bench` runs every scene; `make bench ARGS=mix` only those whose name begins so; `--json` prints a line of JSON per
//! row instead of the table.

mod floor;
mod measure;
mod scenes;
mod strangers;

use measure::Row;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == floor::ARGUMENT) {
        if let Err(error) = floor::client().await {
            eprintln!("{error}");
            std::process::exit(1);
        }
        return;
    }
    // `cargo bench` says `--bench` to every benchmark.
    let named: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|text| !text.starts_with("--"))
        .collect();
    let json = arguments.iter().any(|text| text == "--json");
    let wanted = |name: &str| named.is_empty() || named.iter().any(|prefix| name.starts_with(prefix));
    let mut rows: Vec<Row> = Vec::new();
    let mut take = |row: Row| {
        if json {
            println!("{}", serde_json::to_string(&row).unwrap_or_default());
        }
        rows.push(row);
    };
    for (name, latency) in scenes::LATENCIES {
        if wanted(name) {
            scenes::mix(name, latency, &mut take).await;
        }
    }
    if wanted("one-mail") {
        scenes::one_mail(&mut take).await;
    }
    if wanted("many") {
        take(scenes::many().await);
    }
    if wanted("mailboxes") {
        scenes::mailboxes(&mut take).await;
    }
    if wanted("idle") {
        take(scenes::idle().await);
    }
    if !json {
        println!("\n{}", Row::table(&rows));
    }
    // Never a silent gap: who could not be measured is named.
    for missing in strangers::all().into_iter().filter_map(Result::err) {
        eprintln!("NOT RUN: {missing}");
    }
}
