//! A span for every request, sent to an OpenTelemetry collector (OTLP over HTTP) when Roomcast is built with the
//! feature `otel` and `OTEL_EXPORTER_OTLP_ENDPOINT` names one.

use super::gate::Parent;

/// Where spans go; nowhere without a collector.
#[derive(Debug, Default)]
pub struct Traces {
    #[cfg(feature = "otel")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

/// A request under way.
#[derive(Debug, Default)]
pub struct Span {
    #[cfg(feature = "otel")]
    span: Option<opentelemetry_sdk::trace::Span>,
}

#[cfg(not(feature = "otel"))]
impl Traces {
    /// Traces that go nowhere.
    ///
    /// # Errors
    /// None.
    pub fn start() -> anyhow::Result<Traces> {
        Ok(Traces::default())
    }

    /// A span that goes nowhere.
    pub fn span(&self, _method: &str, _parent: Option<&Parent>) -> Span {
        Span::default()
    }

    /// Nothing waits to be sent.
    pub fn stop(&self) {}
}

#[cfg(not(feature = "otel"))]
impl Span {
    /// Ends the span.
    pub fn end(self, _route: &str, _path: &str, _status: u16) {}
}

#[cfg(feature = "otel")]
mod otel {
    use anyhow::Context as _;
    use opentelemetry::trace::{
        Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
        TracerProvider,
    };
    use opentelemetry::{Context, KeyValue};
    use opentelemetry_otlp::SpanExporter;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::{Parent, Span, Traces};

    impl Traces {
        /// Connects to the collector that the environment names, if it names one.
        ///
        /// # Errors
        /// When the environment names a collector that cannot be used.
        pub fn start() -> anyhow::Result<Traces> {
            let named = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
            if named.iter().all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty())) {
                return Ok(Traces::default());
            }
            // The HTTP client brings none of its own; an error says that there is one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let exporter = SpanExporter::builder().with_http().build().context("cannot use the collector")?;
            let resource = Resource::builder().with_service_name("roomcast").build();
            let provider = SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
            Ok(Traces { provider: Some(provider) })
        }

        /// A span of a request, below the client's own where it sent one.
        pub fn span(&self, method: &str, parent: Option<&Parent>) -> Span {
            let Some(provider) = &self.provider else { return Span::default() };
            let tracer = provider.tracer("roomcast");
            let above = parent.and_then(|parent| {
                let (trace, span) = (TraceId::from_hex(&parent.trace).ok()?, SpanId::from_hex(&parent.span).ok()?);
                let flags = TraceFlags::new(parent.flags);
                Some(SpanContext::new(trace, span, flags, true, TraceState::default()))
            });
            let context = above.map_or_else(Context::new, |above| Context::new().with_remote_span_context(above));
            let builder = tracer.span_builder(method.to_owned()).with_kind(SpanKind::Server);
            let builder = builder.with_attributes([KeyValue::new("http.request.method", method.to_owned())]);
            Span { span: Some(tracer.build_with_context(builder, &context)) }
        }

        /// Sends what waits to be sent.
        pub fn stop(&self) {
            if let Some(provider) = &self.provider
                && let Err(error) = provider.shutdown()
            {
                tracing::warn!(%error, "the last spans could not be sent");
            }
        }
    }

    impl Span {
        /// Ends the span. The query is left out: tokens are there.
        pub fn end(self, route: &str, path: &str, status: u16) {
            let Some(mut span) = self.span else { return };
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
            span.set_attribute(KeyValue::new("url.path", path.to_owned()));
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            if status >= 500 {
                span.set_status(Status::error(""));
            }
            span.end();
        }
    }
}
