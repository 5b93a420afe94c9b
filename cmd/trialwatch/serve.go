package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/internal/app"
)

// serveConfig is the file of --config. Flags win over it.
type serveConfig struct {
	Protocols []string `yaml:"protocols"`
	Data      string   `yaml:"data"`
	NATS      string   `yaml:"nats"`
	Creds     string   `yaml:"creds"`
	Listen    string   `yaml:"listen"`
	// ListenPooled is the address of the page of who may not see the arms.
	ListenPooled string   `yaml:"listenPooled"`
	Stages       []string `yaml:"stages"`
	BaseURLs     []string `yaml:"baseURLs"`
	SiteFiles    []string `yaml:"siteFiles"`
	Replicas     int      `yaml:"replicas"`
	LogLevel     string   `yaml:"logLevel"`
	MaxBytes     struct {
		FHIR        int64 `yaml:"fhir"`
		Facts       int64 `yaml:"facts"`
		DeadLetters int64 `yaml:"deadletters"`
		Out         int64 `yaml:"out"`
		Aggregates  int64 `yaml:"aggregates"`
		Pooled      int64 `yaml:"pooled"`
	} `yaml:"maxBytes"`
}

func newServe() *cobra.Command {
	var cfg serveConfig
	var file, stages, acceptLoss, acceptProtocol string
	var trust bool
	c := &cobra.Command{
		Use:   "serve [--protocol FILE]… [--site-file FILE]… [--data DIR] [--config FILE] [--nats URL]",
		Short: "Run the stages: intake, watch, aggregate and the page",
		Long: `serve runs trialwatch until it is stopped. Without --nats it runs a broker of its own on a loopback port, which
acknowledges a message when the disk has it; <data>/nats.json says how to reach it, for the other subcommands and for
the nats client. EHR systems publish FHIR R4 resources to fhir.<site>.<ResourceType>.

Protocol and site files are read again when they change, and at once on SIGHUP. A file that is not in order, or that would
judge the past without saying so, is refused: the log says why, and what ran goes on.`,
		Example: `  trialwatch serve --data /var/lib/trialwatch --protocol trial.yaml
  trialwatch serve --nats nats://broker:4222 --creds trialwatch.creds --stages intake,watch`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := mergeConfig(c, &cfg, file); err != nil {
				return err
			}
			if c.Flags().Changed("stages") {
				cfg.Stages = strings.Split(stages, ",")
			}
			log, err := newLogger(c.ErrOrStderr(), cfg.LogLevel)
			if err != nil {
				return err
			}
			ps, err := loadProtocols(c.ErrOrStderr(), cfg.Protocols)
			if err != nil {
				return err
			}
			sites, err := loadSites(c.ErrOrStderr(), cfg.SiteFiles, ps)
			if err != nil {
				return err
			}
			o := app.DefaultOptions()
			o.Sites, o.Files = sites, app.Files{Protocols: cfg.Protocols, Sites: cfg.SiteFiles}
			hangUp := make(chan os.Signal, 1)
			signal.Notify(hangUp, syscall.SIGHUP)
			defer signal.Stop(hangUp)
			o.Reload = hangUp
			o.DataDir, o.NATS, o.Creds, o.Listen, o.Protocols, o.BaseURLs, o.Logger, o.TrustReceivedAt = cfg.Data, cfg.NATS, cfg.Creds, cfg.Listen, ps, cfg.BaseURLs, log, trust
			o.AcceptLoss, o.AcceptProtocol, o.ListenPooled = acceptLoss, acceptProtocol, cfg.ListenPooled
			if cfg.Stages != nil {
				o.Stages = cfg.Stages
			}
			if cfg.Replicas > 0 {
				o.Replicas = cfg.Replicas
			}
			for _, s := range []struct {
				to *int64
				is int64
			}{{&o.Sizes.FHIR, cfg.MaxBytes.FHIR}, {&o.Sizes.Facts, cfg.MaxBytes.Facts}, {&o.Sizes.DeadLetters, cfg.MaxBytes.DeadLetters}, {&o.Sizes.Out, cfg.MaxBytes.Out}, {&o.Sizes.Aggregates, cfg.MaxBytes.Aggregates}, {&o.Sizes.Pooled, cfg.MaxBytes.Pooled}} {
				if s.is > 0 {
					*s.to = s.is
				}
			}
			go serveMemory.bound(c.Context())
			caughtUp := time.Now()
			o.CaughtUp = func() { log.Info().Dur("after", time.Since(caughtUp)).Msg("ready: timers run") }
			a, err := app.New(o)
			if err != nil {
				return usageError{err}
			}
			if err := a.Start(c.Context()); err != nil {
				_ = a.Stop()
				return err
			}
			for _, s := range sites {
				log.Info().Str("site", s.Name).Int("codes", len(s.Codes)).Int("normal", len(s.Normal)).Msg("site file loaded")
			}
			if a.PooledAddr() != "" {
				log.Info().Str("page", "http://"+a.PooledAddr()).Msg("pooled panels, for who may not see the arms")
			}
			log.Info().Str("page", "http://"+a.Addr()).Str("broker", a.Access().URL).Str("data", cfg.Data).Msg("trialwatch serves")
			return a.Wait(c.Context())
		},
	}
	f := c.Flags()
	f.StringArrayVar(&cfg.Protocols, "protocol", nil, "protocol file, more than one for several studies (default: the shipped trial)")
	f.StringVar(&cfg.Data, "data", defaultData(), "data directory: keys, nats.json, and the store of the embedded broker")
	f.StringVar(&file, "config", "", "YAML file with these settings and the streams' sizes")
	f.StringVar(&cfg.NATS, "nats", "", "URL of an external broker (default: an embedded one); its user and password: TRIALWATCH_NATS_USER, TRIALWATCH_NATS_PASSWORD")
	f.StringVar(&cfg.Creds, "creds", "", "credentials file for --nats")
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:8080", "address of the page, /healthz, /readyz and /metrics")
	f.StringVar(&cfg.ListenPooled, "listen-pooled", "", "address of a second page, for readers who may not see the arms: pooled panels of trials with blinding, and no alerts")
	f.StringVar(&stages, "stages", strings.Join(app.AllStages, ","), "stages that this process runs")
	f.StringArrayVar(&cfg.BaseURLs, "base-url", nil, "the site's own FHIR base URL, stripped from references")
	f.StringArrayVar(&cfg.SiteFiles, "site-file", nil, "site file: zone, base URLs, identifiers, codes, units and limits of normal of one site (repeatable)")
	f.StringVar(&cfg.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&acceptLoss, "accept-loss", "", "name of a loss of facts (data.gap, /readyz): read again what FHIR has, and judge by what there is then")
	f.StringVar(&acceptProtocol, "accept-protocol", "", "start of the hash of a protocol that may judge the past in another way than the one that ran before (at least 16 digits)")
	f.BoolVar(&trust, "trust-received-at", false, "let the header Trialwatch-Received-At replace the broker's time (replays only)")
	return c
}

// mergeConfig reads the file under the flags that were given.
func mergeConfig(c *cobra.Command, cfg *serveConfig, name string) error {
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var file serveConfig
	if err := yaml.UnmarshalWithOptions(data, &file, yaml.Strict()); err != nil {
		return fmt.Errorf("%s:\n%s", name, yaml.FormatError(err, false, true))
	}
	set := func(flag string, to *string, is string) {
		if is != "" && !c.Flags().Changed(flag) {
			*to = is
		}
	}
	set("data", &cfg.Data, file.Data)
	set("nats", &cfg.NATS, file.NATS)
	set("creds", &cfg.Creds, file.Creds)
	set("listen", &cfg.Listen, file.Listen)
	set("listen-pooled", &cfg.ListenPooled, file.ListenPooled)
	set("log-level", &cfg.LogLevel, file.LogLevel)
	if !c.Flags().Changed("protocol") {
		cfg.Protocols = file.Protocols
	}
	if !c.Flags().Changed("site-file") {
		cfg.SiteFiles = file.SiteFiles
	}
	if !c.Flags().Changed("base-url") {
		cfg.BaseURLs = file.BaseURLs
	}
	cfg.Stages, cfg.Replicas, cfg.MaxBytes = file.Stages, file.Replicas, file.MaxBytes
	return nil
}
