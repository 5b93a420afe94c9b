package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memory says how far the soft limit of the Go runtime's memory stays above what lives. The collector lets the heap grow to twice what lives before it
// collects; a system that may share a machine with an EHR's interface engine should not.
type memory struct {
	floor int64 // bytes, below which the limit does not go
	spare int64 // bytes above what lives, besides
	share int64 // the percentage of what lives that a large trial needs so as not to spend its time collecting
	every time.Duration
	grow  int // percent by which the heap may grow below the limit before it is collected, 0: as the runtime does
}

var (
	serveMemory = memory{floor: 150 << 20, spare: 16 << 20, share: 17, every: 2 * time.Second, grow: 200}
	// A batch job keeps nearly all that it reads: what lives starts small and grows fast.
	batchMemory = memory{floor: 104 << 20, share: 50, every: 20 * time.Millisecond}
)

// bound keeps the limit where it should be, until ctx ends. GOMEMLIMIT and GOGC, where they are set, go first.
func (m memory) bound(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if m.grow > 0 && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(m.grow)
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(sample)
		live := int64(sample[0].Value.Uint64())
		debug.SetMemoryLimit(max(m.floor, live+live/100*m.share+m.spare))
		select {
		case <-ctx.Done():
			return
		case <-time.After(m.every):
		}
	}
}
