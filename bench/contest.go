package main

// This file holds how contestants are compared: interleaved in many short
// rounds, so that whatever else the machine does hits all of them alike, and by
// the median of the ratios of each round.

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"
)

// contestant is one way of doing a scenario's job.
type contestant struct {
	name string

	// config tells those of the same name in one contest apart for -samples.
	config string

	// run does it n times and returns what that took.
	run func(n int) time.Duration
}

// score is what a contestant needed, over all rounds.
type score struct {
	name string
	ns   []float64 // for one operation, a value for each round
}

// spread is a median with the quartiles around it.
type spread struct{ low, median, high float64 }

func spreadOf(values []float64) spread {
	v := slices.Clone(values)
	slices.Sort(v)
	return spread{quantile(v, 0.25), quantile(v, 0.5), quantile(v, 0.75)}
}

// quantile of sorted values.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

// perMille is the 99.9th percentile of sorted values. Of fewer than 1,000 it would be
// the greatest, so there is none.
func perMille(v []float64) float64 {
	if len(v) < 1000 {
		return math.NaN()
	}
	return quantile(v, 0.999)
}

// against returns the ratios of s to base, round by round.
func (s score) against(base score) spread {
	r := make([]float64, min(len(s.ns), len(base.ns)))
	for i := range r {
		r[i] = s.ns[i] / base.ns[i]
	}
	return spreadOf(r)
}

func (s score) spread() spread { return spreadOf(s.ns) }

// compete runs all contestants for rounds rounds of about length each. -samples gets
// each round under the scenario's name.
func (b *bench) compete(scenario string, rounds int, length time.Duration, list []contestant) []score {
	n := make([]int, len(list))
	scores := make([]score, len(list))
	for i, c := range list {
		scores[i].name = c.name
		for n[i] = 16; ; n[i] *= 2 {
			if took := c.run(n[i]); took >= length/2 || n[i] >= 1<<28 {
				n[i] = max(1, int(float64(n[i])*float64(length)/float64(took+1)))
				break
			}
		}
	}
	row := make([]float64, len(list))
	repeat(rounds, func(round int) {
		for k := range list {
			// Another one begins each time: nobody always runs after the same.
			i := (k + round) % len(list)
			row[i] = float64(list[i].run(n[i])) / float64(n[i])
		}
	}, func() {
		for i, c := range list {
			scores[i].ns = append(scores[i].ns, row[i])
			if b.samples != nil {
				name := path.Join(scenario, c.config, "way="+benchmarkName.Replace(c.name))
				must1(fmt.Fprintf(b.samples, "Benchmark%s %d %.5g ns/op\n", name, n[i], row[i]))
			}
		}
	})
	return scores
}

// A benchmark's name has no spaces, and its parts end at slashes.
var benchmarkName = strings.NewReplacer(" ", "_", "/", "_")

// find returns the score of name.
func find(scores []score, name string) score {
	for _, s := range scores {
		if s.name == name {
			return s
		}
	}
	panic("no contestant " + name)
}

// duration writes ns the way people read it.
func duration(ns float64) string {
	switch {
	case math.IsNaN(ns):
		return "-"
	case ns < 100:
		return fmt.Sprintf("%.1f ns", ns)
	case ns < 1e3:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e5:
		return fmt.Sprintf("%.2f µs", ns/1e3)
	case ns < 1e6:
		return fmt.Sprintf("%.0f µs", ns/1e3)
	default:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	}
}

// repeat runs rounds and keeps those that nobody disturbed, within reason.
func repeat(rounds int, run func(round int), keep func()) {
	left := maxDiscarded * rounds
	for r := range rounds {
		undisturbed(&left, func() { run(r) })
		keep()
	}
}

// undisturbed runs f again until nobody disturbed it, as long as there are
// repetitions left.
func undisturbed(left *int, f func()) {
	for {
		quiet := watchOthers()
		f()
		switch ok := quiet(); {
		case ok:
			disturbed.quiet++
			return
		case patient && *left > 0:
			*left--
			disturbed.discarded++
		default:
			disturbed.kept++
			return
		}
	}
}
