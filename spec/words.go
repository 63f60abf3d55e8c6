package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// otherWords are what other programs call what has another name here, and the names,
// likeliest first. A name is suggested only where it means something.
var otherWords = map[string]string{
	// arguments and blocks
	"accept":              "expect",
	"addr":                "address",
	"args":                "command",
	"arguments":           "command",
	"bind":                "address host",
	"caps":                "capabilities cap_add",
	"chdir":               "cwd workdir",
	"cidr":                "address destination",
	"cmd":                 "command",
	"count":               "attempts fall",
	"cpus":                "cpu",
	"cron":                "schedule task",
	"delay":               "backoff",
	"dependencies":        "after requires",
	"depends":             "after requires",
	"depends_on":          "after requires",
	"dest":                "destination path",
	"dev":                 "interface device",
	"dir":                 "cwd path",
	"directory":           "cwd path",
	"dst":                 "destination path",
	"enabled":             "disabled",
	"endpoint":            "url address",
	"environment":         "env",
	"exec":                "command app",
	"exec_start":          "command",
	"execstart":           "command",
	"execstartpost":       "after_start",
	"execstartpre":        "before_start",
	"execstop":            "before_stop stop",
	"execstoppost":        "after_stop",
	"failure_threshold":   "fall retries",
	"filesystem":          "type mount",
	"format":              "mkfs",
	"frequency":           "every schedule",
	"fs":                  "type mount",
	"fs_type":             "type",
	"fstype":              "type",
	"health_check":        "check healthcheck",
	"healthcheck":         "check",
	"healthy_threshold":   "rise",
	"home":                "cwd",
	"host":                "address server url",
	"hosts":               "nodes",
	"interval":            "every within",
	"label":               "tags",
	"labels":              "tags",
	"limits":              "rlimits ulimits",
	"location":            "path",
	"max_retries":         "attempts",
	"max_attempts":        "attempts",
	"max_restarts":        "attempts",
	"mem":                 "memory",
	"mem_limit":           "memory",
	"memory_limit":        "memory",
	"memory_max":          "memory",
	"method":              "type",
	"netmask":             "address",
	"prefix":              "address destination",
	"prefix_length":       "address destination",
	"mount_options":       "options",
	"mount_point":         "path",
	"mountpoint":          "path",
	"needs":               "requires after",
	"net":                 "netns network",
	"nic":                 "interface",
	"on":                  "nodes",
	"opts":                "options",
	"period":              "every schedule",
	"port":                "address",
	"path":                "file",
	"ipdev":               "interface",
	"mnt":                 "path",
	"mnt_opt":             "options",
	"oncalendar":          "schedule",
	"on_calendar":         "schedule",
	"limitnofile":         "rlimits",
	"limitnproc":          "rlimits",
	"memorymax":           "memory",
	"cpuquota":            "cpu",
	"restartsec":          "restart",
	"container_name":      "name",
	"entrypoint":          "command",
	"expose":              "ports",
	"links":               "after",
	"secrets":             "credentials",
	"configs":             "credentials",
	"env_file":            "env",
	"post_start":          "after_start",
	"post_stop":           "after_stop",
	"poststart":           "after_start",
	"poststop":            "after_stop",
	"pre_start":           "before_start",
	"pre_stop":            "before_stop",
	"prestart":            "before_start",
	"prestop":             "before_stop",
	"program":             "command app",
	"publish":             "ports",
	"replicas":            "count",
	"requires":            "after",
	"restart_policy":      "restart",
	"restarts":            "restart",
	"retries":             "fall attempts",
	"retry":               "restart fall attempts",
	"run":                 "command app",
	"run_as":              "user",
	"runas":               "user",
	"scale":               "count",
	"script":              "command exec",
	"shell":               "command",
	"size_limit":          "size",
	"source":              "device",
	"src":                 "device source",
	"start":               "command timeouts",
	"start_timeout":       "timeouts",
	"stop_grace_period":   "kill_after",
	"stop_timeout":        "kill_after timeouts",
	"success_threshold":   "rise",
	"target":              "path destination address host",
	"test":                "command",
	"time":                "schedule",
	"timeout_start":       "timeouts",
	"timeout_stop":        "timeouts",
	"timer":               "schedule task",
	"timeoutstartsec":     "timeouts",
	"timeoutstopsec":      "timeouts",
	"to":                  "destination",
	"tries":               "attempts fall",
	"tz":                  "timezone",
	"uid":                 "user",
	"ulimit":              "rlimits ulimits",
	"unhealthy_threshold": "fall",
	"uri":                 "url",
	"via":                 "gateway",
	"wait_for":            "after requires",
	"wants":               "with requires",
	"when":                "schedule",
	"where":               "path",
	"work_dir":            "cwd workdir",
	"workdir":             "cwd",
	"working_dir":         "cwd workdir",
	"working_directory":   "cwd workdir",
	"workingdirectory":    "cwd workdir",
	"cwd":                 "workdir",
	// kinds of resources and checks, and what stands at the top level
	"bind_mount":    "mount",
	"cronjob":       "task",
	"curl":          "http",
	"daemon":        "app",
	"disk":          "mount",
	"docker":        "container",
	"group":         "service",
	"https":         "http",
	"job":           "task service",
	"local":         "locals",
	"loopback":      "loop",
	"mariadb":       "sql",
	"mysql":         "sql",
	"namespace":     "netns",
	"network":       "netns",
	"nfs":           "mount",
	"ping":          "icmp",
	"podman":        "container",
	"port_check":    "tcp",
	"postgres":      "sql",
	"postgresql":    "sql",
	"process":       "app",
	"service_check": "check",
	"services":      "service",
	"socket":        "tcp",
	"stack":         "service",
	"static_route":  "route",
	"unit":          "systemd service",
	"url":           "http",
	"var":           "variable",
	"variables":     "variable",
	"vars":          "locals variable",
	"vip":           "ip",
	"virtual_ip":    "ip",
	"volume":        "mount",
	"volumes":       "mount",
	// values
	"active-active":  "scaled",
	"active-passive": "failover",
	"active_active":  "scaled",
	"active_passive": "failover",
	"catch_up":       "run",
	"fail":           "restart",
	"healthcheck_ok": "check",
	"ignore":         "report",
	"none":           "report skip none",
	"random":         "spread",
	"replicated":     "scaled",
	"round_robin":    "spread",
	"standby":        "failover",
}

// meant is the word that was most likely meant, "" where none is likely: what another
// program calls it, or the nearest.
func meant(word string, words []string) string {
	for _, w := range strings.Fields(otherWords[strings.ToLower(word)]) {
		if slices.Contains(words, w) {
			return w
		}
	}
	return Nearest(word, words)
}

// known says whether a word is what another program calls name.
func known(word, name string) bool {
	return slices.Contains(strings.Fields(otherWords[strings.ToLower(word)]), name)
}

// slip says whether a word is another with a letter more, less, wrong or swapped.
func slip(word, other string) bool {
	return levenshtein.Distance(strings.ToLower(word), strings.ToLower(other), nil) == 1 ||
		len(word) == len(other) && len(word) > 2 && levenshtein.Distance(word, other, nil) == 2 && sameLetters(word, other)
}

func sameLetters(a, b string) bool {
	x, y := []byte(a), []byte(b)
	slices.Sort(x)
	slices.Sort(y)
	return string(x) == string(y)
}

// literalWords are values that other languages write as words.
var literalWords = map[string]string{
	"yes": "true", "on": "true", "true": "true", "enabled": "true", "no": "false", "off": "false", "false": "false", "disabled": "false",
	"none": "null", "nil": "null", "null": "null", "undefined": "null",
}

const listed = 15 // as many names does a person look through

// allOf lists what there is, or says where it stands.
func allOf(words []string, explain string) string {
	if len(words) <= listed || explain == "" {
		return didYouMean("", words)
	}
	return fmt.Sprintf("`svcctl explain %s` says what it takes.", explain)
}
