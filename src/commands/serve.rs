//! `roomcast serve`: serves forecasts over HTTP, and the web page.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::backtest::duration;
use super::live::LiveArgs;
use super::predict::RuleArgs;
use super::site::SiteArgs;
use super::targets::TargetArgs;
use roomcast_forecast::train::schedule::Schedule;
use roomcast_server::http::auth::Access;
use roomcast_server::http::limits::Limits;
use roomcast_server::http::proxy::Network;
use roomcast_server::http::tokens::Tokens;
use roomcast_server::http::uploads::Uploads;
use roomcast_server::publish::Publisher;
use roomcast_server::run::{self, Listen};
use roomcast_server::state::live::PUBLISHING;
use roomcast_server::state::settings::{Retraining, Settings, Upkeep};
use roomcast_server::state::site::Site;

/// The port without `--port` or `--bind`.
pub const PORT: u16 = 5000;

/// Number of threads that talk to the store, the broker and JetStream.
const STORE_THREADS: usize = 2;

/// What `serve` is asked.
#[derive(Debug, Args)]
#[command(mut_arg("input", |input| input.required(false).required_unless_present("store")))]
pub struct ServeArgs {
    /// Readings and site.
    #[command(flatten)]
    pub site: SiteArgs,
    /// Where models are saved; without any, some are trained at the start. A directory, or what several servers share:
    /// postgres://…, or s3://bucket/prefix with the usual AWS variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …)
    #[arg(long, value_name = "PLACE", default_value = "models", env = "ROOMCAST_MODELS", hide_env_values = true)]
    pub models: PathBuf,
    /// How probabilities become states.
    #[command(flatten)]
    pub rule: RuleArgs,
    /// Address and port to listen on [default: 0.0.0.0:5000, with --no-auth 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS", env = "ROOMCAST_BIND")]
    pub bind: Option<SocketAddr>,
    /// Port to listen on instead, 0 for any that is free
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Write the port here once the server listens
    #[arg(long, value_name = "FILE")]
    pub port_file: Option<PathBuf>,
    /// Tokens, one `calendar:TOKEN`, `read:TOKEN`, `write:TOKEN` or `admin:TOKEN` a line, beside those of PRIVATE_TOKEN
    /// (admin) and ROOMCAST_TOKENS (the same, separated by commas)
    #[arg(long, value_name = "FILE", env = "ROOMCAST_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Answer everybody who can reach the address, which must be a loopback one, and asks for localhost or 127.0.0.1
    #[arg(long)]
    pub no_auth: bool,
    /// Show /metrics without a token
    #[arg(long)]
    pub metrics_public: bool,
    /// Requests per second of one address or token, twice as many at once; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 500, env = "ROOMCAST_RATE_LIMIT")]
    pub rate_limit: u32,
    /// Connections that one address may have at a time; 0 for no limit, as behind a proxy
    #[arg(long, value_name = "N", default_value_t = 256, env = "ROOMCAST_CONNECTION_LIMIT")]
    pub connection_limit: u32,
    /// Let pages from this origin read answers, such as `https://dashboard.example` (repeatable)
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,
    /// Believe the proxy with this address or of this network, such as 10.0.0.0/8, whose request it passes on: the last address
    /// in X-Forwarded-For (without it, Forwarded) that is no such proxy's is the client's (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    pub trusted_proxy: Vec<Network>,
    /// Certificate chain for TLS, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key for TLS, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Threads that serve connections; without it, one per processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Seconds between saying no at /readyz and refusing connections, when told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pub drain: u64,
    /// Readings as they arrive.
    #[command(flatten)]
    pub live: LiveArgs,
    /// Forecasts on their way to others.
    #[command(flatten)]
    pub targets: TargetArgs,
    /// Forget readings of this age, such as 400d; without it all are kept. Ages are counted from the last reading, and it
    /// is the store's readings alone
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "store", env = "ROOMCAST_RETAIN")]
    pub retain: Option<Duration>,
    /// Pack closed days of this age, which then take a tenth of their room; 0 for never
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = or_none, requires = "store")]
    pub pack: Duration,
    /// When to pack and forget: a cron expression on the site's clock
    #[arg(long, value_name = "CRON", default_value = "30 3 * * *", requires = "store")]
    pub upkeep: Schedule,
    /// Renew the models at these times, when they are over age or worse than the baseline: a cron expression on the site's clock, such as '0 2 * * *'
    #[arg(long, value_name = "CRON", env = "ROOMCAST_RETRAIN")]
    pub retrain: Option<Schedule>,
    /// At most this much later, by chance, so that several servers do not begin at once; 0 for none
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = or_none, requires = "retrain")]
    pub retrain_jitter: Duration,
    /// Age from which models are renewed
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration, requires = "retrain")]
    pub retrain_max_age: Duration,
    /// Versions of the models to keep, beside the current one and the one before it
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..), requires = "retrain")]
    pub retrain_keep: u32,
}

fn or_none(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text) }
}

/// Serves until told to stop.
///
/// # Errors
/// Returns an error without a token (except on loopback with `--no-auth`), for an address that cannot be bound, and for
/// readings that cannot be read.
pub fn run(args: &ServeArgs) -> anyhow::Result<()> {
    // Tokens do not come as arguments, because every user of the machine can read those.
    let (private, list) = (std::env::var("PRIVATE_TOKEN").ok(), std::env::var("ROOMCAST_TOKENS").ok());
    let tokens = Tokens::read(private.as_deref(), list.as_deref(), args.token_file.as_deref())?;
    if tokens.short() > 0 {
        tracing::warn!(
            tokens = tokens.short(),
            "tokens shorter than 16 characters can be guessed: make one with `openssl rand -hex 16`"
        );
    }
    let bind = address(args);
    if tokens.is_empty() && !args.no_auth {
        bail!(
            "no token is set, so anybody could ask\nhint: set PRIVATE_TOKEN, or try it out on this machine alone with --no-auth"
        );
    }
    if args.no_auth && !tokens.is_empty() {
        bail!(
            "--no-auth and tokens exclude each other\nhint: leave --no-auth out, or PRIVATE_TOKEN, ROOMCAST_TOKENS and --token-file"
        );
    }
    if args.no_auth && !bind.ip().is_loopback() {
        bail!(
            "--no-auth needs a loopback address, {} can be reached from elsewhere\nhint: set a token, or --bind 127.0.0.1:{PORT}",
            bind.ip()
        );
    }
    let from_input = args.site.input.iter().any(|path| path.as_os_str() == "-");
    ensure!(
        !from_input || args.retrain.is_none(),
        "--retrain reads the readings again, which standard input cannot give"
    );
    let settings = Settings {
        input: args.site.inputs(),
        store: args.live.store.clone(),
        models: args.models.clone(),
        rule: args.rule.rule(),
        retrain: Retraining {
            schedule: args.retrain.clone(),
            jitter: args.retrain_jitter,
            max_age: args.retrain_max_age,
            keep: args.retrain_keep,
        },
        upkeep: args.live.store.is_some().then(|| Upkeep {
            schedule: args.upkeep.clone(),
            pack: Some(args.pack).filter(|age| !age.is_zero()),
            retain: args.retain,
        }),
    };
    let access = Access {
        tokens,
        limits: Limits::new(args.rate_limit),
        uploads: Uploads::default(),
        metrics_public: args.metrics_public,
        cors: args.cors_origin.clone(),
        proxies: args.trusted_proxy.clone(),
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
    let calendar = args.site.clock.calendar()?;
    let targets = args.targets.targets()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(STORE_THREADS)
        .thread_name("store")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let live = args.live.open(&runtime, &calendar)?;
    let lease = live.as_ref().map(|live| (live.lease(PUBLISHING), PUBLISHING.duration));
    let publisher = Publisher::start(runtime.handle(), targets, &calendar, lease);
    let ended = run::run(Site::new(settings, calendar, live, publisher), access, &listen);
    // Readings that are not stored yet are not acknowledged either, so their senders send them again.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

fn address(args: &ServeArgs) -> SocketAddr {
    let any = if args.no_auth { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let mut address = args.bind.unwrap_or(SocketAddr::new(IpAddr::V4(any), PORT));
    if let Some(port) = args.port {
        address.set_port(port);
    }
    address
}
