// Package metrics_test contains the recipes for Prometheus and OpenTelemetry of
// examples/README.md, and shows that they work.
package metrics_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func withPrometheus(config core.Config, registry *prometheus.Registry) core.Config {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "login_events_total", Help: "Logins, refreshes and logouts.",
	}, []string{"kind", "provider", "code", "by"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "login_duration_seconds", Help: "Duration of callbacks and refreshes.",
	}, []string{"kind", "provider"})
	registry.MustRegister(events, seconds)
	config.OnEvent = func(_ context.Context, e core.Event) {
		events.WithLabelValues(e.Kind, e.Provider, e.Code, e.By).Inc()
		if e.Duration > 0 {
			seconds.WithLabelValues(e.Kind, e.Provider).Observe(e.Duration.Seconds())
		}
	}
	return config
}

func withOpenTelemetry(config core.Config, meter metric.Meter) (core.Config, error) {
	events, err1 := meter.Int64Counter("login.events")
	seconds, err2 := meter.Float64Histogram("login.duration", metric.WithUnit("s"))
	if err := errors.Join(err1, err2); err != nil {
		return config, err
	}
	config.OnEvent = func(ctx context.Context, e core.Event) {
		about := []attribute.KeyValue{
			attribute.String("kind", e.Kind), attribute.String("provider", e.Provider),
			attribute.String("code", e.Code), attribute.String("by", e.By),
		}
		events.Add(ctx, 1, metric.WithAttributes(about...))
		if e.Duration > 0 {
			seconds.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(about...))
		}
		about = append(about, attribute.String("reference", e.Reference)) // of the log line
		trace.SpanFromContext(ctx).AddEvent("login", trace.WithAttributes(about...))
	}
	return config, nil
}

// aStory is a login, a logout and a login that is refused, in an application with spans.
func aStory(t *testing.T, tracer trace.Tracer, change func(core.Config) core.Config) {
	t.Helper()
	const origin = "https://app.example.test"
	provider := logintest.NewProvider("https://id.example.test", logintest.Client{
		ID: "app", RedirectURIs: []string{origin + "/auth/callback"}, PostLogoutRedirectURIs: []string{origin + "/"},
	})
	refuses := error(nil)
	auth, err := core.New(change(core.Config{
		Providers:   []core.Provider{{Issuer: provider.Issuer(), ClientID: "app"}},
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte("a session key of thirty-two bytes or more"),
		HTTPClient:  provider.HTTPClient(),
		Logger:      slog.New(slog.DiscardHandler),
		OnLogin:     func(context.Context, *core.Login) error { return refuses },
	}))
	if err != nil {
		t.Fatal(err)
	}
	login, mux := httplogin.New(auth), http.NewServeMux()
	login.Mount(mux)
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	browser := logintest.NewBrowser()
	browser.Serve(provider.Issuer(), provider)
	browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(r.Context(), r.URL.Path)
		defer span.End()
		mux.ServeHTTP(w, r.WithContext(ctx))
	}))
	open := func(path string) {
		t.Helper()
		if _, err := browser.Get(origin + path); err != nil {
			t.Fatal(err)
		}
	}
	open("/auth/login")
	if _, err := browser.Post(origin+"/auth/logout", nil); err != nil {
		t.Fatal(err)
	}
	refuses = errors.New("no account")
	open("/auth/login")
}

func TestRecipePrometheus(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	aStory(t, sdktrace.NewTracerProvider().Tracer("app"), func(c core.Config) core.Config { return withPrometheus(c, registry) })
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`login_events_total{by="",code="",kind="login",provider="id.example.test"} 1`,
		`login_events_total{by="user",code="",kind="logout",provider="id.example.test"} 1`,
		`login_events_total{by="",code="login_refused",kind="login_failed",provider="id.example.test"} 1`,
		`login_duration_seconds_count{kind="login",provider="id.example.test"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("got %s, want %s", w.Body, want)
		}
	}
}

func TestRecipeOpenTelemetry(t *testing.T) {
	t.Parallel()
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewSpanRecorder()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("app")
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("app")
	aStory(t, tracer, func(c core.Config) core.Config {
		c, err := withOpenTelemetry(c, meter)
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
	var measured metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &measured); err != nil {
		t.Fatal(err)
	}
	var counted []string
	for _, m := range measured.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, point := range sum.DataPoints {
				kind, _ := point.Attributes.Value("kind")
				counted = append(counted, kind.AsString())
			}
		}
	}
	if len(counted) != 3 || len(measured.ScopeMetrics[0].Metrics) != 2 {
		t.Errorf("counted %q in %v", counted, measured)
	}
	told := 0
	for _, span := range spans.Ended() {
		told += len(span.Events())
	}
	if told != 3 {
		t.Errorf("%d events in spans", told)
	}
}
