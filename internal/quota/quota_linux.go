package quota

// This file finds out how many processors Linux lets the process use: cpu.max of its
// control group (Documentation/admin-guide/cgroup-v2.rst), or cpu.cfs_quota_us and
// cpu.cfs_period_us with version 1 (Documentation/scheduler/sched-bwc.rst).

import (
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// processors is how many the process may use, as it was when it first lingered.
var processors = sync.OnceValue(func() float64 { return processorsIn("/") })

// processorsIn reads the files below root: the limit of the group and of those that it is in,
// or no limit if there are none. In a container the group's name may be the host's, of
// which the container sees only its own part, at the root of the hierarchy: so what is
// not there is passed over.
func processorsIn(root string) float64 {
	least := math.Inf(1)
	groups, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(groups)) {
		// number:controllers:name
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, name, _ := strings.Cut(rest, ":")
		var mounts []string
		limit := limitV1
		switch {
		case controllers == "":
			mounts, limit = []string{""}, limitV2
		case slices.Contains(strings.Split(controllers, ","), "cpu"):
			mounts = []string{controllers, "cpu"}
		}
		for _, mount := range mounts {
			for name := path.Clean("/" + name); ; name = path.Dir(name) {
				least = min(least, limit(path.Join(root, "sys/fs/cgroup", mount, name)))
				if name == "/" {
					break
				}
			}
		}
	}
	return least
}

// limitV2 returns the limit that stands in a folder of version 2: "time period" or
// "max period".
func limitV2(folder string) float64 {
	time, period, _ := strings.Cut(limitText(folder, "cpu.max"), " ")
	return quotient(time, period)
}

// limitV1 returns the limit that stands in a folder of version 1, where a time of -1 is
// none.
func limitV1(folder string) float64 {
	return quotient(limitText(folder, "cpu.cfs_quota_us"), limitText(folder, "cpu.cfs_period_us"))
}

func limitText(folder, name string) string {
	text, _ := os.ReadFile(path.Join(folder, name))
	return strings.TrimSpace(string(text))
}

func quotient(time, period string) float64 {
	t, err := strconv.ParseFloat(time, 64)
	p, perr := strconv.ParseFloat(period, 64)
	if err != nil || perr != nil || t <= 0 || p <= 0 {
		return math.Inf(1)
	}
	return t / p
}
