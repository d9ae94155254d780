//! The simulator as a program: sets up a tenant, serves it, prints what a client needs, ends on Ctrl-C.

mod arguments;

use anyhow::{Context as _, bail};
use arguments::Arguments;
use clap::Parser as _;
use serde_json::json;
use simulator::{Delivery, Latency, Limits, Options, Simulator, Tls, User};
use std::process::ExitCode;
use std::time::Duration;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is where a program complains")]
fn complain(error: &anyhow::Error) {
    eprintln!("simulator: {error:#}");
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let simulator = Simulator::new(options(arguments)?);
    fill(&simulator, arguments)?;
    if let Some(file) = &arguments.record {
        simulator
            .record_to(file)
            .with_context(|| format!("--record {}: cannot write there", file.display()))?;
    }
    for fault in &arguments.fault {
        let spec = serde_json::from_str(fault).with_context(|| format!("--fault {fault}"))?;
        simulator.arm(spec);
    }
    let tls = match &arguments.tls {
        None => None,
        Some(directory) => {
            let tls = Tls::generate()?;
            std::fs::create_dir_all(directory).with_context(|| format!("--tls {}", directory.display()))?;
            let path = directory.join("ca.pem");
            std::fs::write(&path, tls.ca_pem()).with_context(|| format!("cannot write {}", path.display()))?;
            Some(tls)
        }
    };
    let listener = tokio::net::TcpListener::bind(&arguments.listen)
        .await
        .with_context(|| format!("--listen {}: cannot listen there", arguments.listen))?;
    let running = simulator.serve(listener, tls)?;
    announce(&simulator, arguments, running.origin());
    let drip = arguments
        .drip
        .map(|seconds| tokio::spawn(drip(simulator.clone(), arguments.mailboxes(), seconds)));
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    if let Some(task) = drip {
        task.abort();
    }
    running.stop().await?;
    Ok(())
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let mut options = Options {
        seed: arguments.seed,
        vary_mime: arguments.vary_mime,
        latency: Latency {
            service: Duration::from_millis(arguments.latency_ms),
            network: Duration::from_millis(arguments.network_ms),
        },
        limits: Limits {
            enabled: !arguments.no_limits,
            ..Limits::default()
        },
        ..Options::default()
    };
    for reading in &arguments.reading {
        options.readings.set(reading)?;
    }
    Ok(options)
}

fn fill(simulator: &Simulator, arguments: &Arguments) -> anyhow::Result<()> {
    let mailboxes = arguments.mailboxes();
    for address in &mailboxes {
        if !address.contains('@') {
            bail!("--mailbox {address}: an address such as desk@harbour-homes.example is expected");
        }
        simulator.add_mailbox(address);
    }
    for address in &arguments.user {
        if !address.contains('@') {
            bail!("--user {address}: an address such as ada.moor@harbour-homes.example is expected");
        }
        let user = User::new(address, "");
        simulator.add_user(mailboxes.iter().fold(user, |user, mailbox| user.with_shared(mailbox)));
    }
    for redirect_uri in &arguments.redirect_uri {
        simulator.register_redirect_uri(simulator::DEFAULT_CLIENT_ID, redirect_uri)?;
    }
    if let Some(directory) = &arguments.mail {
        let mail = simulator::mail::load::load(directory)?;
        let now = simulator.clock().now_ms();
        let count = i64::try_from(mail.len()).unwrap_or(i64::MAX);
        for (at, bytes) in mail.into_iter().enumerate() {
            // A minute apart, the last one just now: files say nothing trustworthy about when they came.
            let received = now - (count - i64::try_from(at).unwrap_or(0)) * 60_000;
            let delivery = Delivery::inbox(simulator::mail::Mime::Bytes(bytes)).received(received);
            let to = mailboxes.get(at % mailboxes.len()).map_or("", String::as_str);
            simulator.deliver(to, delivery)?;
        }
    }
    let generated = arguments
        .messages
        .unwrap_or(if arguments.mail.is_some() { 0 } else { 25 });
    for address in &mailboxes {
        simulator.fill(address, "inbox", generated, 30)?;
    }
    Ok(())
}

async fn drip(simulator: Simulator, mailboxes: Vec<String>, seconds: u64) {
    let mut ticks = tokio::time::interval(Duration::from_secs(seconds.max(1)));
    ticks.tick().await;
    for address in mailboxes.iter().cycle() {
        ticks.tick().await;
        if let Err(error) = simulator.deliver_generated(address, "inbox") {
            tracing::warn!(%error, "no mail dripped");
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is asked to print")]
fn announce(simulator: &Simulator, arguments: &Arguments, origin: &str) {
    let registration = simulator.registration();
    let tenant = &registration.tenant_id;
    let token_url = format!("{origin}/{tenant}/oauth2/v2.0/token");
    let authorization_url = format!("{origin}/{tenant}/oauth2/v2.0/authorize");
    let graph_url = format!("{origin}/v1.0");
    let ca_file = arguments.tls.as_ref().map(|d| d.join("ca.pem").display().to_string());
    if arguments.json {
        let all = json!({
            "origin": origin, "authorizationUrl": authorization_url, "tokenUrl": token_url, "graphUrl": graph_url, "controlUrl": format!("{origin}/_control"),
            "tenantId": tenant, "clientId": registration.client_id, "clientSecret": registration.client_secret,
            "scope": "https://graph.microsoft.com/.default", "mailboxes": arguments.mailboxes(),
            "redirectUri": registration.redirect_uri, "users": simulator.users(), "caFile": ca_file,
        });
        println!("{all}");
        return;
    }
    println!("Simulated Microsoft 365 tenant at {origin}/");
    println!("  authorization URL {authorization_url}");
    println!("  access token URL  {token_url}");
    println!("  Graph base URL    {graph_url}");
    println!("  control           {origin}/_control/stats");
    println!("  tenant id         {tenant}");
    println!("  client id         {}", registration.client_id);
    println!("  client secret     {}", registration.client_secret);
    println!("  scope             https://graph.microsoft.com/.default");
    println!("  redirect URI      {}", registration.redirect_uri);
    for mailbox in arguments.mailboxes() {
        println!("  mailbox           {mailbox}");
    }
    for user in simulator.users() {
        println!("  can sign in       {} ({})", user.address, user.display_name);
    }
    if let Some(file) = ca_file {
        println!("  CA certificate    {file}");
    }
    println!("Ctrl-C ends it; nothing is kept.");
}
