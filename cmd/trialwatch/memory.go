package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Limits of the Go runtime's memory. The collector lets the heap grow to twice what lives before it collects; a system that may share a machine
// with an EHR's interface engine should not.
const (
	serveFloor  = 128 << 20
	serveEvery  = 2 * time.Second
	memorySpare = 16 << 20 // above what lives, besides a sixth of it, so that a large trial does not spend its time collecting

	// A batch job keeps nearly all that it reads: it starts with less, and what lives grows fast.
	batchFloor = 104 << 20
	batchEvery = 20 * time.Millisecond
)

// boundMemory keeps the soft memory limit a little above what lives, but not below a floor, until ctx ends. GOMEMLIMIT, where it is set, goes first.
func boundMemory(ctx context.Context, floor int64, every time.Duration) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(live)
		debug.SetMemoryLimit(max(floor, int64(live[0].Value.Uint64())*7/6+memorySpare))
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}
