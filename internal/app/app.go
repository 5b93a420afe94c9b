package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/internal/web"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// App is a running trialwatch. Create it with [New], then [App.Start] and [App.Stop], or [App.Run].
type App struct {
	opts       Options
	access     Access
	conn       *nats.Conn
	js         jetstream.JetStream
	addr       string
	pooledAddr string
	caughtUp   atomic.Bool
	lost       atomic.Pointer[string] // why the watch judges nobody, nil or "": it does
	notice     atomic.Pointer[string] // what runs is not what stands in the files; nil: it is

	// The stages of this process, nil for those that run elsewhere.
	intake    *consumers.Intake
	watch     *consumers.Watch
	aggregate *consumers.Aggregate
	pool      *consumers.Pool
	hub       *web.Hub
	pooledHub *web.Hub // of who may not see the arms, nil: nobody asked for it
	metrics   *consumers.Metrics

	cancel   context.CancelFunc
	workers  sync.WaitGroup
	steps    []step // of stopping, in the order of starting
	stopOnce sync.Once
	stopErr  error
	failed   chan error
}

type step struct {
	name string
	stop func(context.Context) error
}

// New checks the options.
func New(opts Options) (*App, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	return &App{opts: opts, failed: make(chan error, 8)}, nil
}

// Run starts the app, runs it until ctx ends or a part fails, and stops it.
func (a *App) Run(ctx context.Context) error {
	if err := a.Start(ctx); err != nil {
		return errors.Join(err, a.Stop())
	}
	return a.Wait(ctx)
}

// Wait runs a started app until ctx ends or a part fails, and stops it.
func (a *App) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-a.failed:
	}
	return errors.Join(err, a.Stop())
}

// Addr is the address of the web server, "" if that stage does not run.
func (a *App) Addr() string { return a.addr }

// PooledAddr is the address of the page without arms, "" if there is none.
func (a *App) PooledAddr() string { return a.pooledAddr }

// Access is how to reach the broker.
func (a *App) Access() Access { return a.access }

// JetStream is the app's own connection.
func (a *App) JetStream() jetstream.JetStream { return a.js }

// Start is one straight line on purpose: what depends on what is the order of the lines. After an error call Stop.
func (a *App) Start(ctx context.Context) error {
	o := &a.opts
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return err
	}
	unlock, err := lock(o.DataDir, o.NATS != "")
	if err != nil {
		return err
	}
	a.onStop("data directory", func(context.Context) error { return unlock() })
	key, err := siteKey(o.DataDir)
	if err != nil {
		return err
	}
	if o.NATS == "" {
		broker, access, err := startBroker(o)
		if err != nil {
			return err
		}
		a.access = access
		a.onStop("broker", func(context.Context) error { broker.Shutdown(); broker.WaitForShutdown(); return nil })
	} else if a.access, err = NewAccess(o.NATS, o.Creds); err != nil {
		return err
	}
	if err := a.access.write(o.DataDir); err != nil {
		return err
	}
	if a.conn, err = a.access.Connect("trialwatch"); err != nil {
		return err
	}
	a.onStop("connection", func(context.Context) error { a.conn.Close(); return nil })
	if a.js, err = jetstream.New(a.conn); err != nil {
		return err
	}
	if err := wire.EnsureStreams(ctx, a.js, o.Sizes, o.Replicas); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.metrics = consumers.NewMetrics(registry)
	running := o.Files.running(o.Protocols)
	if err := a.compareWithKept(ctx); err != nil {
		return err
	}
	decoder, err := NewDecoder(o.Protocols, o.BaseURLs, o.Sites...)
	if err != nil {
		return err
	}

	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.cancel = cancel
	a.onStop("stages", func(context.Context) error { cancel(); a.workers.Wait(); return nil })
	host, _ := os.Hostname()
	worker := fmt.Sprintf("%s-%d", wire.Token(host), os.Getpid())
	log := o.Logger
	if slices.Contains(o.Stages, StageIntake) {
		a.intake = consumers.NewIntake(consumers.IntakeConfig{
			JetStream: a.js, Decoder: decoder, SiteKey: key, Logger: log.With().Str("stage", StageIntake).Logger(), Metrics: a.metrics, TrustReceivedAt: o.TrustReceivedAt,
		})
		a.work(run, a.intake.Run)
	}
	if slices.Contains(o.Stages, StageWatch) {
		a.watch = consumers.NewWatch(consumers.WatchConfig{
			JetStream: a.js, Protocols: o.Protocols, SiteKey: key, Clock: o.Clock, Worker: worker, Logger: log.With().Str("stage", StageWatch).Logger(), Metrics: a.metrics,
			Zones:  Zones(o.Sites),
			Behind: func() { a.caughtUp.Store(false) },
			Lost:   func(why string) { a.lost.Store(&why) }, AcceptLoss: o.AcceptLoss,
			CaughtUp: func() {
				a.caughtUp.Store(true)
				if o.CaughtUp != nil {
					o.CaughtUp()
				}
			},
			WithoutFence: o.WithoutFence,
		})
	} else {
		a.caughtUp.Store(true)
	}
	if slices.Contains(o.Stages, StageAggregate) {
		a.aggregate = consumers.NewAggregate(consumers.AggregateConfig{
			JetStream: a.js, Protocols: o.Protocols, Clock: o.Clock, Logger: log.With().Str("stage", StageAggregate).Logger(), Metrics: a.metrics,
		})
		a.work(run, a.aggregate.Run)
		a.pool = consumers.NewPool(consumers.PoolConfig{JetStream: a.js, Protocols: o.Protocols, Logger: log.With().Str("stage", "pool").Logger()})
		a.work(run, a.pool.Run)
	}
	if slices.Contains(o.Stages, StageWeb) {
		if err := a.startWeb(run, registry); err != nil {
			return err
		}
	}
	a.work(run, func(ctx context.Context) error {
		// The watch comes after what other codes have made facts of: it would call doses missed whose records are not facts yet.
		if a.intake != nil {
			if _, err := a.reread(ctx, true); err != nil {
				return nil // only the end of ctx ends it
			}
		}
		if a.watch != nil {
			a.work(ctx, a.watch.Run)
		}
		return a.followFiles(ctx, running)
	})
	return nil
}

// NewDecoder returns the decoder for a set of protocols: their codes beside the shipped ones, and nothing that none of their rules reads. What the site files
// say holds for their sites.
func NewDecoder(protocols []*protocol.Protocol, baseURLs []string, sites ...*sitefile.Site) (*fhir.Decoder, error) {
	cfg := fhir.Config{Zone: protocols[0].Zone, BaseURLs: baseURLs, Reads: rules.Reads(protocols...), Sites: map[string]fhir.Site{}}
	if err := eachOnce(sites); err != nil {
		return nil, err
	}
	for _, s := range sites {
		cfg.Sites[s.Name] = s.FHIR()
	}
	for _, p := range protocols {
		for _, c := range p.Concepts() {
			cfg.Concepts = append(cfg.Concepts, fhir.Concept{Name: c.Concept, Codes: c.Codes, Texts: c.Texts, Unit: c.Unit})
		}
	}
	return fhir.New(cfg)
}

// Zones are the zones of the sites that have one of their own.
func Zones(sites []*sitefile.Site) map[string]*time.Location {
	zones := map[string]*time.Location{}
	for _, s := range sites {
		if s.Zone != nil {
			zones[s.Name] = s.Zone
		}
	}
	return zones
}

// eachOnce refuses two files of one site: which of them holds would depend on their order.
func eachOnce(sites []*sitefile.Site) error {
	seen := map[string]bool{}
	for _, s := range sites {
		if seen[s.Name] {
			return fmt.Errorf("two site files of site %s", s.Name)
		}
		seen[s.Name] = true
	}
	return nil
}

// studies are how the page names the studies and their arms.
func studies(protocols []*protocol.Protocol) []web.Study {
	var studies []web.Study
	for _, p := range protocols {
		s := web.Study{ID: p.Study, Title: p.Title, ArmTitles: map[string]string{}, RegimenTitles: map[string]string{}}
		if p.Blinding != nil {
			s.Unblinded = p.Blinding.Unblinded
		}
		for i := range p.Regimens {
			s.RegimenTitles[p.Regimens[i].ID] = p.Regimens[i].Title
		}
		for _, arm := range p.Arms {
			s.ArmTitles[arm.ID] = arm.Title
		}
		studies = append(studies, s)
	}
	return studies
}

// pooledStudies are those that have pooled panels, without a word on what only some arms have.
func pooledStudies(protocols []*protocol.Protocol) []web.Study {
	var studies []web.Study
	for _, p := range protocols {
		if p.Blinding == nil {
			continue
		}
		s := web.Study{ID: p.Study, Title: p.Title, RegimenTitles: map[string]string{}}
		for i := range p.Regimens {
			if r := &p.Regimens[i]; !p.TellsArms(r.ID) {
				s.RegimenTitles[r.ID] = r.Title
			}
		}
		studies = append(studies, s)
	}
	return studies
}

func (a *App) startWeb(ctx context.Context, registry *prometheus.Registry) error {
	o := &a.opts
	hub := web.NewHub(web.Options{
		Logger: o.Logger.With().Str("stage", StageWeb).Logger(), Title: "trialwatch", Studies: studies(o.Protocols), Zone: o.Protocols[0].Zone, Demo: o.Demo, Beside: o.Beside,
	})
	a.hub = hub
	if notice := a.notice.Load(); notice != nil {
		hub.SetNotice(*notice)
	}
	a.work(ctx, func(ctx context.Context) error {
		return consumers.Follow(ctx, a.js, o.Logger, wire.StreamAggregates, "aggregates.>", hub.Panel)
	})
	a.work(ctx, func(ctx context.Context) error {
		return consumers.FollowAlerts(ctx, a.js, o.Logger, true, hub.Alert)
	})
	mux := http.NewServeMux()
	mux.Handle("/", hub.Handler())
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := a.ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
		if notice := a.notice.Load(); notice != nil {
			fmt.Fprintln(w, *notice)
		}
	})
	var err error
	if a.addr, err = a.serve("web server", "--listen", o.Listen, mux); err != nil || o.ListenPooled == "" {
		return err
	}
	return a.startPooledWeb(ctx)
}

// startPooledWeb serves the page of who may not see the arms, on an address of its own: what it holds comes from the stream of the pooled panels alone. It has no
// metrics, which count alerts by rule.
func (a *App) startPooledWeb(ctx context.Context) (err error) {
	o := &a.opts
	a.pooledHub = web.NewHub(web.Options{
		Logger: o.Logger.With().Str("stage", StageWeb).Logger(), Title: "trialwatch", Studies: pooledStudies(o.Protocols), Zone: o.Protocols[0].Zone, Demo: o.Demo, Pooled: true,
	})
	a.work(ctx, func(ctx context.Context) error {
		return consumers.Follow(ctx, a.js, o.Logger, wire.StreamPooled, "pooled.>", a.pooledHub.Panel)
	})
	mux := http.NewServeMux()
	mux.Handle("/", a.pooledHub.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	a.pooledAddr, err = a.serve("web server of pooled panels", "--listen-pooled", o.ListenPooled, mux)
	return err
}

// serve starts a web server and returns its address. flag names it to the user.
func (a *App) serve(name, flag, listen string, handler http.Handler) (addr string, err error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("%s: %w (another address: %s 127.0.0.1:0)", name, err, flag)
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	go func() {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("%s: %w", name, err)
		}
	}()
	// Open event streams never end by themselves: close them rather than wait.
	a.onStop(name, func(context.Context) error { return srv.Close() })
	return listener.Addr().String(), nil
}

// ready says why the app cannot do its work now, nil if it can.
func (a *App) ready(ctx context.Context) error {
	if !a.conn.IsConnected() {
		return errors.New("not connected to the broker")
	}
	if lost := a.lost.Load(); lost != nil && *lost != "" {
		return errors.New(*lost)
	}
	if !a.caughtUp.Load() {
		return errors.New("the watch is still reading stored facts")
	}
	for _, cfg := range wire.Streams(a.opts.Sizes, a.opts.Replicas) {
		s, err := a.js.Stream(ctx, cfg.Name)
		if err != nil {
			return fmt.Errorf("stream %s cannot be read", cfg.Name)
		}
		if info := s.CachedInfo(); info.Config.MaxBytes > 0 && float64(info.State.Bytes) > 0.9*float64(info.Config.MaxBytes) {
			return fmt.Errorf("stream %s is more than 90 %% full", cfg.Name)
		}
	}
	return nil
}

func (a *App) work(ctx context.Context, run func(context.Context) error) {
	a.workers.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			a.failed <- err
		}
	})
}

func (a *App) onStop(name string, stop func(context.Context) error) {
	a.steps = append(a.steps, step{name, stop})
}

// Stop stops what was started, in reverse order. It is idempotent and bounded by StopTimeout.
func (a *App) Stop() error {
	a.stopOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), a.opts.StopTimeout)
		defer cancel()
		done := make(chan error, 1)
		go func() {
			var errs []error
			for _, s := range slices.Backward(a.steps) {
				if err := s.stop(ctx); err != nil {
					errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
				}
			}
			done <- errors.Join(errs...)
		}()
		select {
		case a.stopErr = <-done:
		case <-ctx.Done():
			a.stopErr = fmt.Errorf("did not stop within %s", a.opts.StopTimeout)
		}
	})
	return a.stopErr
}

// lock keeps a second trialwatch out of a data directory; with an external broker several processes may share one, since the broker decides.
func lock(dataDir string, shared bool) (func() error, error) {
	f, err := os.OpenFile(filepath.Join(dataDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another trialwatch is using %s", dataDir)
	}
	return f.Close, nil
}
