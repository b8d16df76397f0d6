// Audio shows Go making sound for a thread that must not wait: the callback of JACK,
// which has 5 ms for each block of 256 frames. A goroutine synthesises a tone and
// writes it block by block through an Out. The callback is C: it reads a block with
// notifier_out_read, or plays silence if there is none, and pushes the block's level
// to a Ring, whose reader draws it. Meanwhile the garbage collector is kept busy.
//
//	apt-get install jackd2 libjack-jackd2-dev
//	go run -tags jack ./examples/audio
//
// It starts a JACK server of its own, which plays to nobody; with -server default it
// uses yours. Its last lines count the blocks: played and silent, in order and whole,
// and what the server says of its deadlines (xruns). Without the tag it builds without
// libjack, and says so.
package main

// This file holds the synthesiser and the meter; the callback is in jack.go.

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/ring"
)

func main() {
	var s settings
	flag.IntVar(&s.blocks, "n", 750, "how many blocks are played; 187 are a second")
	flag.StringVar(&s.server, "server", "", "name of a JACK server that runs; none: one is started")
	flag.BoolVar(&s.garbage, "garbage", true, "keep the garbage collector busy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, s); err != nil {
		fmt.Fprintln(os.Stderr, "audio:", err)
		os.Exit(1)
	}
}

type settings struct {
	blocks  int
	server  string
	garbage bool
}

// level is what the callback pushes for each block; jack.go has it in C.
type level struct {
	Block  uint64
	Played uint64  // blocks of ours, this one included; it was silence if that is as before
	First  float32 // sample
	Peak   float32
}

// player is a client of JACK. Its callback runs until close.
type player interface {
	frames() int                                // of a block
	rate() int                                  // frames a second
	start(o, r uint64) error                    // the callback begins, with these numbers
	counts() (xruns int, longest time.Duration) // so far: missed deadlines, and the longest call
	close()
}

// open connects to a server; nil in a program that was built without libjack.
var open func(ctx context.Context, server string) (player, error)

func run(ctx context.Context, out io.Writer, s settings) error {
	if open == nil {
		fmt.Fprintln(out, "nothing to show here: built without libjack; use go run -tags jack, with a C compiler")
		return nil
	}
	p, err := open(ctx, s.server)
	if err != nil {
		return err
	}
	defer p.close()
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()

	const blocksAhead = 16
	o, err := ring.NewOut(powerOfTwo(blocksAhead * (p.frames()*4 + 8)))
	if err != nil {
		return err
	}
	defer o.Close()
	r, err := ring.New(1 << 16)
	if err != nil {
		return err
	}
	defer r.Close()
	outHandle, err := o.Handle()
	if err != nil {
		return err
	}
	ringHandle, err := r.Handle()
	if err != nil {
		return err
	}

	tone := synthesiser{frames: p.frames(), rate: p.rate()}
	all.Go(func() {
		for n := uint64(0); ; n++ {
			if o.WriteWait(ctx, tone.block(n)) != nil {
				return
			}
		}
	})
	if s.garbage {
		all.Go(func() { litter(ctx) })
	}
	for o.Len() < o.Cap()/2 && ctx.Err() == nil {
		runtime.Gosched() // the synthesiser gets ahead first
	}
	if err := p.start(uint64(outHandle), uint64(ringHandle)); err != nil {
		return err
	}
	fmt.Fprintf(out, "blocks of %d frames, %d frames a second\n", p.frames(), p.rate())
	return meter(ctx, out, r, p, tone, s)
}

// meter reads what the callback pushes, and checks that each block that was played is
// the next one of the tone.
func meter(ctx context.Context, out io.Writer, r *ring.Ring, p player, tone synthesiser, s settings) error {
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	draw := time.NewTicker(200 * time.Millisecond)
	defer draw.Stop()
	var received, silent, wrong int
	var last level
	peak := float32(0)
	for received+int(r.Lost()) < s.blocks {
		select {
		case <-r.C():
			for l, err := range ring.Values[level](r) {
				if err != nil {
					return err
				}
				switch {
				case l.Played == last.Played:
					silent++
				case l.First != tone.sample((l.Played-1)*uint64(tone.frames)) || l.Played != last.Played+1 && r.Lost() == 0:
					wrong++
				}
				received++
				last, peak = l, max(peak, l.Peak)
			}
		case <-draw.C:
			fmt.Fprintf(out, "%s silent %d\n", bar(peak), silent)
			peak = 0
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	xruns, longest := p.counts()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	fmt.Fprintf(out, "%d blocks: %d played, %d silent, %d wrong; %d levels lost\n", received, received-silent, silent, wrong, r.Lost())
	fmt.Fprintf(out, "%d xruns, %d collections of garbage; the longest callback took %v\n", xruns, after.NumGC-before.NumGC, longest.Round(100*time.Nanosecond))
	return nil
}

// synthesiser makes a tone that swells and fades.
type synthesiser struct{ frames, rate int }

func (s synthesiser) sample(i uint64) float32 {
	t := float64(i) / float64(s.rate)
	return float32(math.Sin(2*math.Pi*440*t) * (0.5 + 0.4*math.Sin(2*math.Pi*t)))
}

func (s synthesiser) block(n uint64) []byte {
	samples := make([]float32, s.frames)
	for i := range samples {
		samples[i] = s.sample(n*uint64(s.frames) + uint64(i))
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(samples))), 4*len(samples))
}

// litter keeps the garbage collector busy.
func litter(ctx context.Context) {
	kept := make([]*[64]*int, 1<<12) // pointers for it to follow
	for i := 0; ctx.Err() == nil; i++ {
		kept[i%len(kept)] = new([64]*int)
		for k := range kept[i%len(kept)] {
			kept[i%len(kept)][k] = new(int)
		}
		if i%512 == 0 {
			time.Sleep(time.Millisecond) // half of a processor is enough
		}
	}
}

func powerOfTwo(least int) int {
	n := 1
	for n < least {
		n *= 2
	}
	return n
}

// bar draws 20 columns for 40 decibels.
func bar(peak float32) string {
	db := 20 * math.Log10(float64(max(peak, 1e-6)))
	n := max(0, min(20, int((db+40)/2)))
	return strings.Repeat("█", n) + strings.Repeat("·", 20-n)
}
