//! `roomcast serve`: serves forecasts and a web page over HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::ingest::LiveArgs;
use super::jobs::{RetrainingArgs, UpkeepArgs};
use super::targets::{NotifyArgs, TargetArgs};
use crate::commands::arguments::{BlockArgs, LevelArg, RegistryArgs, RuleArgs, SiteArgs, by_room, check_level};
use roomcast_forecast::calendar::Calendar;
use roomcast_forecast::decisions::promise::Scope;
use roomcast_forecast::rooms::Level;
use roomcast_server::http::access::auth::Access;
use roomcast_server::http::access::limits::Limits;
use roomcast_server::http::access::proxy::Network;
use roomcast_server::http::access::tokens::Tokens;
use roomcast_server::http::access::uploads::Uploads;
use roomcast_server::ingest::merge::Merger;
use roomcast_server::logs::START;
use roomcast_server::publish::Publisher;
use roomcast_server::publish::webhook::Notifier;
use roomcast_server::run::{self, Listen};
use roomcast_server::state::live::PUBLISHING;
use roomcast_server::state::settings::Settings;
use roomcast_server::state::site::Site;
use roomcast_storage::inputs::Inputs;
use roomcast_storage::readings;

/// The port without `--port` or `--bind`.
pub const PORT: u16 = 5000;

/// Heading of the options of the HTTP server in the help.
const HTTP: &str = "HTTP server";

/// Number of threads that talk to the store, the broker and JetStream.
const STORE_THREADS: usize = 2;

/// Arguments of `roomcast serve`.
#[derive(Debug, Args)]
#[command(
    mut_arg("input", |input| input.required(false).required_unless_present("store")),
    mut_arg("models", |models| models.help(
        "Registry of the models: a directory, or, for several servers, postgres://… or s3://bucket/prefix with the usual AWS \
         variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …). If it has no models, some are fitted at the start"
    ))
)]
pub struct ServeArgs {
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    rule: RuleArgs,
    #[command(flatten)]
    blocks: BlockArgs,
    /// Timetable that the stored schedules are compared with, such as 'mon-fri 06:00-19:00; sat 08:00-12:00', or
    /// 'ROOM=mon-fri 08:00-17:00' for one room (repeatable); GET /ledger has the result
    #[arg(long, value_name = "HOURS")]
    timetable: Vec<String>,
    /// Address and port to listen on [default: 0.0.0.0:5000, with --no-auth 127.0.0.1:5000]
    #[arg(help_heading = HTTP, long, value_name = "ADDRESS", env = "ROOMCAST_BIND")]
    bind: Option<SocketAddr>,
    /// Port to listen on, instead of that of --bind; 0 for any free port
    #[arg(help_heading = HTTP, long, value_name = "PORT")]
    port: Option<u16>,
    /// File to which the port is written when the server listens
    #[arg(help_heading = HTTP, long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// File of tokens, one `calendar:TOKEN`, `read:TOKEN`, `write:TOKEN` or `admin:TOKEN` a line. The variables PRIVATE_TOKEN
    /// (an admin token) and ROOMCAST_TOKENS (the same as the file, separated by commas) hold more
    #[arg(help_heading = HTTP, long, value_name = "FILE", env = "ROOMCAST_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Answer requests without a token. The address must be a loopback one, and requests must be for localhost or 127.0.0.1
    #[arg(help_heading = HTTP, long)]
    no_auth: bool,
    /// Answer requests for /metrics without a token
    #[arg(help_heading = HTTP, long)]
    metrics_public: bool,
    /// Requests per second of one address or token, with bursts of twice as many; 0 for no limit
    #[arg(help_heading = HTTP, long, value_name = "N", default_value_t = 500, env = "ROOMCAST_RATE_LIMIT")]
    rate_limit: u32,
    /// Largest number of open connections of one address; 0 for no limit, such as behind a proxy
    #[arg(help_heading = HTTP, long, value_name = "N", default_value_t = 256, env = "ROOMCAST_CONNECTION_LIMIT")]
    connection_limit: u32,
    /// Origin whose pages may read answers, such as `https://dashboard.example` (repeatable)
    #[arg(help_heading = HTTP, long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
    /// Address or network, such as 10.0.0.0/8, of a trusted proxy (repeatable). For its requests, the client is the last
    /// address in X-Forwarded-For (without it, Forwarded) that is no trusted proxy
    #[arg(help_heading = HTTP, long, value_name = "ADDRESS")]
    trusted_proxy: Vec<Network>,
    /// Address of a proxy that signs users in itself, such as Home Assistant's ingress (172.30.32.2). Its requests may read
    /// without a token
    #[arg(help_heading = HTTP, long, value_name = "ADDRESS", env = "ROOMCAST_SIGN_IN_PROXY")]
    sign_in_proxy: Option<IpAddr>,
    /// File of the certificate chain for TLS, PEM
    #[arg(help_heading = HTTP, long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// File of the private key for TLS, PEM
    #[arg(help_heading = HTTP, long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Number of threads that serve connections; without it, one per processor
    #[arg(help_heading = HTTP, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Seconds for which a stopping server still accepts connections while /readyz answers that it is not ready
    #[arg(help_heading = HTTP, long, value_name = "SECONDS", default_value_t = 1)]
    drain: u64,
    /// Lowest level that is stored and shown. With floor or building the readings of sensors become readings of their floor or
    /// building, by --rooms, before they are stored, and nothing below is kept
    #[arg(long, value_enum, default_value_t, env = "ROOMCAST_LEVEL")]
    level: LevelArg,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    targets: TargetArgs,
    #[command(flatten)]
    notify: NotifyArgs,
    #[command(flatten)]
    upkeep: UpkeepArgs,
    #[command(flatten)]
    retraining: RetrainingArgs,
}

/// Serves until told to stop.
///
/// # Errors
/// Returns an error without a token (except on loopback with `--no-auth`), for an address that cannot be bound, and for
/// readings that cannot be read.
pub fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let bind = address(args);
    let tokens = tokens(args, bind)?;
    let from_input = args.site.input.iter().any(|path| path.as_os_str() == "-");
    ensure!(
        !from_input || args.retraining.retrain.is_none(),
        "--retrain reads the readings again, which is not possible with standard input"
    );
    for input in &args.site.input {
        tracing::info!(target: START, "readings from {}", readings::redacted(&input.to_string_lossy()));
    }
    tracing::info!(target: START, "models in {}", args.registry.open().name());
    let calendar = args.site.clock.calendar()?;
    let (input, merger) = inputs(args, &calendar)?;
    let settings = Settings {
        level: args.level.into(),
        store: args.live.store.clone(),
        models: args.registry.models.clone(),
        rule: args.rule.rule(),
        method: args.rule.method(Scope::Site),
        blocks: args.blocks.rule(&input.site),
        input,
        timetables: (!args.timetable.is_empty()).then(|| by_room::timetables(&args.timetable)).transpose()?,
        retrain: args.retraining.settings(),
        upkeep: args.live.store.is_some().then(|| args.upkeep.settings()),
    };
    let access = Access {
        tokens,
        limits: Limits::new(args.rate_limit),
        uploads: Uploads::default(),
        metrics_public: args.metrics_public,
        cors: args.cors_origin.clone(),
        proxies: args.trusted_proxy.clone(),
        sign_in_proxy: args.sign_in_proxy,
        tls: args.tls_cert.is_some(),
    };
    let listen = Listen {
        bind,
        port_file: args.port_file.clone(),
        tls: args.tls_cert.clone().zip(args.tls_key.clone()),
        workers: args.workers.map(usize::from),
        connections: args.connection_limit as usize,
        drain: Duration::from_secs(args.drain),
        shutdown_timeout: Duration::from_secs(30),
    };
    let targets = args.targets.targets()?;
    for target in &targets {
        tracing::info!(target: START, "forecasts are published to {target}");
    }
    let hook = args.notify.hook()?;
    if let Some(hook) = &hook {
        tracing::info!(target: START, "alerts go to {hook}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(STORE_THREADS)
        .thread_name("store")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let live = args.live.open(&runtime, &calendar, merger)?;
    let lease = live.as_ref().map(|live| (live.lease(PUBLISHING), PUBLISHING.duration));
    let publisher = Publisher::start(runtime.handle(), targets, &calendar, lease);
    let mut site = Site::new(settings, calendar, live, publisher);
    site.notifier = hook.map(|hook| Notifier::start(runtime.handle(), hook));
    let ended = run::run(site, access, &listen);
    // Readings that are not stored yet are not acknowledged either, so their senders send them again.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Returns the inputs, and what merges readings to the lowest level that is kept, if that is above the rooms. The table of rooms
/// is then known to it alone.
fn inputs(args: &ServeArgs, calendar: &Calendar) -> anyhow::Result<(Inputs, Option<Merger>)> {
    let mut inputs = args.site.inputs();
    let level = Level::from(args.level);
    if level == Level::Room {
        return Ok((inputs, None));
    }
    ensure!(
        inputs.paths.is_empty() && args.live.store.is_some(),
        "--level {level} takes readings as they arrive, into --store, and no --input\nhint: a file holds readings of each sensor"
    );
    let rooms = inputs.site.rooms(calendar)?;
    check_level(level, &rooms)?;
    inputs.site.rooms = None;
    Ok((inputs, Some(Merger::new(rooms, level, calendar.clone()))))
}

/// Returns the tokens, after checking that they fit the other arguments.
fn tokens(args: &ServeArgs, bind: SocketAddr) -> anyhow::Result<Tokens> {
    // Tokens do not come as arguments, because every user of the machine can read those.
    let (private, list) = (std::env::var("PRIVATE_TOKEN").ok(), std::env::var("ROOMCAST_TOKENS").ok());
    let tokens = Tokens::read(private.as_deref(), list.as_deref(), args.token_file.as_deref())?;
    if tokens.short() > 0 {
        tracing::warn!(
            tokens = tokens.short(),
            "tokens of fewer than 16 characters can be guessed: make one with `openssl rand -hex 16`"
        );
    }
    if tokens.is_empty() && !args.no_auth {
        bail!("no token is set\nhint: set PRIVATE_TOKEN, or try the server on this machine alone with --no-auth");
    }
    if args.no_auth && !tokens.is_empty() {
        bail!(
            "--no-auth and tokens exclude each other\nhint: leave out --no-auth, or PRIVATE_TOKEN, ROOMCAST_TOKENS and --token-file"
        );
    }
    if args.no_auth && !bind.ip().is_loopback() {
        bail!(
            "--no-auth needs a loopback address, and other machines can reach {}\nhint: set a token, or use --bind 127.0.0.1:{PORT}",
            bind.ip()
        );
    }
    Ok(tokens)
}

fn address(args: &ServeArgs) -> SocketAddr {
    let any = if args.no_auth { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let mut address = args.bind.unwrap_or(SocketAddr::new(IpAddr::V4(any), PORT));
    if let Some(port) = args.port {
        address.set_port(port);
    }
    address
}
