package notifier

// This file proves the ordering argument for arm64, which no emulator shows and
// no x86 machine can: it asks the architecture's memory model whether the
// outcome that would lose a notification is possible, by trying every execution
// of the few instructions that matter. cbarrier_test.go checks that these are
// the instructions that the compilers emit. How the steps interleave as a whole
// is the business of the model in verify/.
//
// The model is that of the Arm Architecture Reference Manual, DDI 0487, B2.3
// ("external visibility", "internal visibility" and "atomic" requirements), as in
// the aarch64.cat of the herd tools, without dependencies and mixed sizes:
// leaving those out allows more, so what is forbidden here is forbidden.

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// access is one memory access or barrier of a litmus test.
type access struct {
	kind     byte // 'R', 'W', or 'F' for DMB ISH
	location string
	value    int  // written, or that must have been read
	acquire  bool // LDAR, LDAXR, the read of an AL atomic
	acqPC    bool // LDAPR
	release  bool // STLR, STLXR, the write of an AL atomic
	pairs    bool // the write of the read just before: exclusive or atomic
	single   bool // of an LSE atomic: one instruction

	thread int
}

// The instructions. A load is given with the value that the outcome asks for.
func ldr(l string, v int) []access { return []access{{kind: 'R', location: l, value: v}} }
func ldar(l string, v int) []access {
	return []access{{kind: 'R', location: l, value: v, acquire: true}}
}
func ldapr(l string, v int) []access {
	return []access{{kind: 'R', location: l, value: v, acqPC: true}}
}
func str(l string, v int) []access { return []access{{kind: 'W', location: l, value: v}} }
func stlr(l string, v int) []access {
	return []access{{kind: 'W', location: l, value: v, release: true}}
}
func dmb() []access { return []access{{kind: 'F'}} }

// llsc is an LDAXR, STLXR loop that ends with its first try; lse is the same as
// one instruction: LDSETAL, SWPAL, LDCLRAL, CASAL, LDADDAL.
func llsc(l string, old, now int) []access {
	return []access{
		{kind: 'R', location: l, value: old, acquire: true},
		{kind: 'W', location: l, value: now, release: true, pairs: true},
	}
}

func lse(l string, old, now int) []access {
	a := llsc(l, old, now)
	a[0].single, a[1].single = true, true
	return a
}

// goFence is fence of readyset.go.
func goFence(private string) [][]access { return [][]access{stlr(private, 1), ldar(private, 1)} }

func thread(instructions ...[]access) []access {
	var list []access
	for _, i := range instructions {
		list = append(list, i...)
	}
	return list
}

func threadWith(before [][]access, fence [][]access, after ...[]access) []access {
	return thread(append(append(before, fence...), after...)...)
}

// relation is a set of ordered pairs of accesses.
type relation [][]bool

func newRelation(n int) relation {
	r := make(relation, n)
	for i := range r {
		r[i] = make([]bool, n)
	}
	return r
}

func (r relation) acyclic() bool {
	n := len(r)
	c := newRelation(n)
	for i := range r {
		copy(c[i], r[i])
	}
	for k := range n {
		for i := range n {
			if c[i][k] {
				for j := range n {
					c[i][j] = c[i][j] || c[k][j]
				}
			}
		}
	}
	for i := range n {
		if c[i][i] {
			return false
		}
	}
	return true
}

// possible reports whether some execution has the loads read what they say.
func possible(start map[string]int, threads ...[]access) bool {
	var all []access
	for location, value := range start {
		all = append(all, access{kind: 'W', location: location, value: value, thread: -1})
	}
	for number, t := range threads {
		for _, a := range t {
			a.thread = number
			all = append(all, a)
		}
	}
	writes := map[string][]int{}
	var reads []int
	for i, a := range all {
		if a.kind == 'W' {
			writes[a.location] = append(writes[a.location], i)
		} else if a.kind == 'R' {
			reads = append(reads, i)
		}
	}
	// Every choice of what each load reads from, and of each location's order of
	// writes, the first one being what it starts with.
	from := make([]int, len(all))
	var orders func(locations []string, co map[string][]int) bool
	orders = func(locations []string, co map[string][]int) bool {
		if len(locations) == 0 {
			return consistent(all, from, co)
		}
		l := locations[0]
		w := append([]int(nil), writes[l]...)
		found := false
		permute(w, 1, func() bool {
			co[l] = w
			found = orders(locations[1:], co)
			return found
		})
		return found
	}
	var locations []string
	for l := range writes {
		locations = append(locations, l)
	}
	var choose func(k int) bool
	choose = func(k int) bool {
		if k == len(reads) {
			return orders(locations, map[string][]int{})
		}
		r := reads[k]
		for _, w := range writes[all[r].location] {
			if all[w].value == all[r].value {
				from[r] = w
				if choose(k + 1) {
					return true
				}
			}
		}
		return false
	}
	return choose(0)
}

// permute calls f with every order of list[k:] until it returns true.
func permute(list []int, k int, f func() bool) bool {
	if k >= len(list) {
		return f()
	}
	for i := k; i < len(list); i++ {
		list[k], list[i] = list[i], list[k]
		if permute(list, k+1, f) {
			return true
		}
		list[k], list[i] = list[i], list[k]
	}
	return false
}

// consistent reports whether the model allows an execution.
func consistent(all []access, from []int, co map[string][]int) bool {
	n := len(all)
	internal, external := newRelation(n), newRelation(n)
	outside := func(i, j int) bool { return all[i].thread != all[j].thread }
	communicate := func(i, j int) {
		internal[i][j] = true
		if outside(i, j) {
			external[i][j] = true // observed-by
		}
	}
	rank := make([]int, n)
	for _, order := range co {
		for i, w := range order {
			rank[w] = i
			for _, later := range order[i+1:] {
				communicate(w, later)
			}
		}
	}
	for r, a := range all {
		if a.kind != 'R' {
			continue
		}
		communicate(from[r], r)
		for _, w := range co[a.location] {
			if rank[w] > rank[from[r]] {
				communicate(r, w) // from-read
			}
		}
	}
	for i := range all {
		for j := i + 1; j < n; j++ {
			a, b := all[i], all[j]
			if a.thread != b.thread || a.thread < 0 || a.kind == 'F' || b.kind == 'F' {
				continue
			}
			if a.location == b.location {
				internal[i][j] = true
			}
			// Barrier-ordered-before.
			for k := i + 1; k < j; k++ {
				external[i][j] = external[i][j] || all[k].kind == 'F'
			}
			external[i][j] = external[i][j] ||
				a.acquire || a.acqPC || b.release ||
				a.release && b.acquire ||
				a.single && a.release && a.pairs
			// Atomic-ordered-before.
			if j == i+1 && b.pairs {
				external[i][j] = true
				// Nobody writes in between.
				for _, w := range co[a.location] {
					if rank[w] > rank[from[i]] && rank[w] < rank[j] && outside(w, i) {
						return false
					}
				}
			}
			external[i][j] = external[i][j] || a.pairs && from[j] == i && b.kind == 'R' && (b.acquire || b.acqPC)
		}
	}
	return internal.acyclic() && external.acyclic()
}

// Textbook outcomes, for the checker itself.
func TestMemoryModel(t *testing.T) {
	zero := map[string]int{"x": 0, "y": 0}
	for _, c := range []struct {
		name  string
		want  bool
		start map[string]int
		t     [][]access
	}{
		{"store buffering", true, zero, [][]access{thread(str("x", 1), ldr("y", 0)), thread(str("y", 1), ldr("x", 0))}},
		{"store buffering, barriers", false, zero, [][]access{thread(str("x", 1), dmb(), ldr("y", 0)), thread(str("y", 1), dmb(), ldr("x", 0))}},
		{"store buffering, one barrier", true, zero, [][]access{thread(str("x", 1), dmb(), ldr("y", 0)), thread(str("y", 1), ldr("x", 0))}},
		{"store buffering, release and acquire", false, zero, [][]access{thread(stlr("x", 1), ldar("y", 0)), thread(stlr("y", 1), ldar("x", 0))}},
		{"store buffering, release and acquirePC", true, zero, [][]access{thread(stlr("x", 1), ldapr("y", 0)), thread(stlr("y", 1), ldapr("x", 0))}},
		{"message passing", true, zero, [][]access{thread(str("x", 1), str("y", 1)), thread(ldr("y", 1), ldr("x", 0))}},
		{"message passing, release and acquire", false, zero, [][]access{thread(str("x", 1), stlr("y", 1)), thread(ldar("y", 1), ldr("x", 0))}},
		{"load buffering", true, zero, [][]access{thread(ldr("x", 1), str("y", 1)), thread(ldr("y", 1), str("x", 1))}},
		{"coherence", false, zero, [][]access{thread(str("x", 1)), thread(ldr("x", 1), ldr("x", 0))}},
		{"own write", false, zero, [][]access{thread(str("x", 1), ldr("x", 0))}},
		{"two exchanges, one winner", false, zero, [][]access{thread(llsc("x", 0, 1)), thread(llsc("x", 0, 2))}},
		{"one exchange after another", true, zero, [][]access{thread(llsc("x", 0, 1)), thread(llsc("x", 1, 2))}},
		{"independent reads", false, zero, [][]access{thread(str("x", 1)), thread(str("y", 1)), thread(ldar("x", 1), ldar("y", 0)), thread(ldar("y", 1), ldar("x", 0))}},
		{"independent plain reads", true, zero, [][]access{thread(str("x", 1)), thread(str("y", 1)), thread(ldr("x", 1), ldr("y", 0)), thread(ldr("y", 1), ldr("x", 0))}},
	} {
		assert.Equal(t, c.want, possible(c.start, c.t...), c.name)
	}
}

// What would lose a notification must not be possible, whatever of the two kinds
// of atomics each side has; and with one instruction weaker it must be, or it
// would not be known that the instruction is needed.
func TestMemoryOrderARM64(t *testing.T) {
	type rmw = func(l string, old, now int) []access
	kinds := map[string]rmw{"loop": llsc, "lse": lse}
	for cName, c := range kinds {
		for goName, g := range kinds {
			t.Run("C "+cName+", Go "+goName, func(t *testing.T) {
				orderARM64(t, c, g)
			})
		}
	}
}

func orderARM64(t *testing.T, c, g func(l string, old, now int) []access) {
	forbidden := func(what string, start map[string]int, threads ...[]access) {
		t.Helper()
		assert.False(t, possible(start, threads...), what)
	}
	allowed := func(what string, start map[string]int, threads ...[]access) {
		t.Helper()
		assert.True(t, possible(start, threads...), what)
	}
	publish := [][]access{str("data", 1)}

	// Step 1 of notify against deliver and absorb: coalesced, and the data not
	// seen by whoever takes the bit.
	pending := map[string]int{"data": 0, "leaf": 1, "p": 0, "q": 0}
	taker := threadWith([][]access{g("leaf", 1, 0)}, goFence("q"), ldr("data", 0))
	look := ldar("leaf", 1)
	forbidden("C, coalesced", pending, threadWith(publish, [][]access{dmb()}, look), taker)
	forbidden("Handle.Notify, coalesced", pending, threadWith(publish, goFence("p"), look), taker)
	forbidden("with an LSE Add for a fence", pending, threadWith(publish, [][]access{lse("p", 0, 1)}, look), taker)
	allowed("no fence", pending, threadWith(publish, nil, look), taker)
	allowed("Go's fence with LDAPR", pending, threadWith(publish, [][]access{stlr("p", 1), ldapr("p", 1)}, ldr("leaf", 1)), taker)
	allowed("a release store for a fence", pending, threadWith(publish, [][]access{stlr("p", 1)}, ldr("leaf", 1)), taker)
	allowed("the taker's AND alone, by LDAXR and STLXR", pending, threadWith(publish, [][]access{dmb()}, look), thread(llsc("leaf", 1, 0), ldr("data", 0)))

	// In ThreadSanitizer's builds the bit is always written and there is no fence.
	forbidden("C with ThreadSanitizer", pending, thread(str("data", 1), c("leaf", 1, 1)), taker)

	// The Go-side Notify, and deliver, against a plain receive: the token seen in
	// the channel is one that is received later, by one who then sees the data
	// behind an atomic. (The channel's count is read without its lock.)
	full := map[string]int{"data": 0, "count": 1, "unlock": 0, "p": 0, "q": 0, "leaf": 1}
	receiver := thread(str("count", 0), llsc("unlock", 0, 1), ldar("data", 0))
	forbidden("Notify, token there", full, threadWith(publish, goFence("p"), ldr("count", 1)), receiver)
	// Why fence is no Add: a loop lets a plain look come before its store.
	allowed("Notify with an Add by LDAXR and STLXR for a fence", full, threadWith(publish, [][]access{llsc("p", 0, 1)}, ldr("count", 1)), receiver)
	allowed("the same for plain data: that takes Wait", full,
		threadWith(publish, goFence("p"), ldr("count", 1)), thread(str("count", 0), llsc("unlock", 0, 1), ldr("data", 0)))
	forbidden("C, coalesced, and the poller finds a token there", full,
		threadWith(publish, [][]access{dmb()}, look),
		threadWith([][]access{g("leaf", 1, 0)}, goFence("q"), ldr("count", 1)), receiver)
	allowed("the same without deliver's fence", full,
		threadWith(publish, [][]access{dmb()}, look), thread(llsc("leaf", 1, 0), ldr("count", 1)), receiver)

	// Steps 3 and 4 against scan: the setter finds the summary set and leaves it,
	// and the poller has cleared it and finds the leaf clear.
	announced := map[string]int{"leaf": 0, "mid": 1}
	forbidden("set low, look high", announced, thread(c("leaf", 0, 1), ldar("mid", 1)), thread(g("mid", 1, 0), ldar("leaf", 0)))
	forbidden("the same by Handle.Notify", announced, thread(g("leaf", 0, 1), ldar("mid", 1)), thread(g("mid", 1, 0), ldar("leaf", 0)))
	forbidden("and when another has set the leaf", announced,
		thread(c("leaf", 0, 1)), thread(ldar("leaf", 1), ldar("mid", 1)), thread(g("mid", 1, 0), ldar("leaf", 0)))
	allowed("with a plain look at mid", announced, thread(llsc("leaf", 0, 1), ldr("mid", 1)), thread(g("mid", 1, 0), ldar("leaf", 0)))
	allowed("with a plain look at leaf", announced, thread(c("leaf", 0, 1), ldar("mid", 1)), thread(llsc("mid", 1, 0), ldr("leaf", 0)))
	allowed("with a plain look at the leaf that another has set", announced,
		thread(c("leaf", 0, 1)), thread(ldr("leaf", 1), ldar("mid", 1)), thread(g("mid", 1, 0), ldar("leaf", 0)))

	// Step 5 against fallAsleep: the caller finds the poller up, and the poller finds
	// nothing to do.
	up := map[string]int{"root": 0, "asleep": 0}
	bed := thread(stlr("asleep", 1), ldar("root", 0))
	forbidden("set root, look at asleep", up, thread(c("root", 0, 1), ldar("asleep", 0)), bed)
	forbidden("and when another has set root", up, thread(c("root", 0, 1)), thread(ldar("root", 1), ldar("asleep", 0)), bed)
	allowed("with a plain store of asleep", up, thread(c("root", 0, 1), ldar("asleep", 0)), thread(str("asleep", 1), ldar("root", 0)))
	allowed("with LDAPR of root", up, thread(c("root", 0, 1), ldar("asleep", 0)), thread(stlr("asleep", 1), ldapr("root", 0)))

	// Close: what the poller's admit stores before it gives out a handle is there
	// for a scan that finds the bit.
	owner := map[string]int{"owner": 0, "handle": 0, "mid": 0}
	forbidden("the owner is known", owner,
		thread(stlr("owner", 1), stlr("handle", 1)), thread(ldar("handle", 1), c("mid", 0, 1)), thread(g("mid", 1, 0), ldar("owner", 0)))
}
