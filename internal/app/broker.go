package app

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/trialwatch/trialwatch/consumers/wire"
)

// Access is how to reach the broker of a data directory: <data>/nats.json, mode 0600. The fields are those of a context of the nats client.
type Access struct {
	URL      string `json:"url"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Creds    string `json:"creds,omitempty"`
}

// The environment of a user of an external broker.
const (
	UserEnv     = "TRIALWATCH_NATS_USER"
	PasswordEnv = "TRIALWATCH_NATS_PASSWORD"
)

const (
	accessFile  = "nats.json"
	siteKeyFile = "site.key"
)

// ReadAccess reads how to reach the broker that serves a data directory.
func ReadAccess(dataDir string) (Access, error) {
	var a Access
	data, err := os.ReadFile(filepath.Join(dataDir, accessFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("no trialwatch has run in %s: start one with \"trialwatch serve --data %s\", or name a broker with --nats", dataDir, dataDir)
	}
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("%s: %w", filepath.Join(dataDir, accessFile), err)
	}
	return a, nil
}

// NewAccess is how to reach an external broker. A user and password in the URL are taken out of it: URLs are printed and logged, and a password must not be.
// Without them they come from the environment, since a command line is for all to see.
func NewAccess(urls, creds string) (Access, error) {
	a := Access{Creds: creds, User: os.Getenv(UserEnv), Password: os.Getenv(PasswordEnv)}
	var bare []string
	for s := range strings.SplitSeq(urls, ",") {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return a, errors.New("the URL of the broker cannot be read: want nats://host:4222") // the parser's own error would print the password
		}
		if u.User != nil {
			a.User = u.User.Username()
			a.Password, _ = u.User.Password()
			u.User = nil
		}
		bare = append(bare, u.String())
	}
	a.URL = strings.Join(bare, ",")
	return a, nil
}

// Connect connects to the broker and keeps trying while it is away.
func (a Access) Connect(name string) (*nats.Conn, error) {
	opts := []nats.Option{nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(200 * time.Millisecond), nats.Timeout(5 * time.Second)}
	if a.User != "" {
		// An inbox of one's own: the broker lets a user subscribe to it alone, so that no role reads the answers to another.
		opts = append(opts, nats.UserInfo(a.User, a.Password), nats.CustomInboxPrefix("_INBOX."+wire.Token(a.User)))
	}
	if a.Creds != "" {
		opts = append(opts, nats.UserCredentials(a.Creds))
	}
	nc, err := nats.Connect(a.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", a.URL, err)
	}
	return nc, nil
}

func (a Access) write(dataDir string) error {
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(filepath.Join(dataDir, accessFile), append(data, '\n'))
}

// writePrivate replaces a file in one step, readable by its owner only. Processes that share a data directory may do so at once: each has its own
// temporary file.
func writePrivate(path string, data []byte) error {
	return placePrivate(path, data, os.Rename)
}

// placePrivate writes a file of its own beside path and has place move it there.
func placePrivate(path string, data []byte, place func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is gone after a rename
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), path)
}

// siteKey reads the key of patient keys, or makes it at the first start.
func siteKey(dataDir string) ([]byte, error) {
	path := filepath.Join(dataDir, siteKeyFile)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		key := make([]byte, 32)
		rand.Read(key)
		// A link, since it does not replace: of processes that start at once one makes the key, and the others read it.
		err := placePrivate(path, []byte(hex.EncodeToString(key)+"\n"), os.Link)
		if errors.Is(err, fs.ErrExist) {
			return siteKey(dataDir)
		}
		return key, err
	case err != nil:
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 it", path)
	}
	key, err := hex.DecodeString(string(trimNewline(data)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s is not a key of 64 hex digits: restore it, since without it no stored patient is found again", path)
	}
	return key, nil
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// startBroker starts the embedded broker on a free loopback port with a credential of its own. It acknowledges a message when the disk has it.
func startBroker(o *Options) (*server.Server, Access, error) {
	password := make([]byte, 24)
	rand.Read(password)
	a := Access{User: "trialwatch", Password: hex.EncodeToString(password)}
	s, err := server.NewServer(&server.Options{
		ServerName: "trialwatch", Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: a.User, Password: a.Password,
		JetStream: true, StoreDir: filepath.Join(o.DataDir, "nats"), SyncAlways: !o.Unsynced,
		JetStreamMaxStore:  o.Sizes.FHIR + o.Sizes.Facts + o.Sizes.DeadLetters + o.Sizes.Out + o.Sizes.Aggregates + o.Sizes.Pooled + o.Sizes.Pooling + 1<<28,
		JetStreamMaxMemory: 64 << 20, MaxPayload: wire.MaxMessage + 64<<10, NoSigs: true, NoLog: true, DisableShortFirstPing: true,
	})
	if err != nil {
		return nil, a, fmt.Errorf("embedded broker: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		s.Shutdown()
		return nil, a, fmt.Errorf("the embedded broker did not start within 20 s: is another trialwatch using %s?", o.DataDir)
	}
	a.URL = s.ClientURL()
	return s, a, nil
}
