package main

import (
	"fmt"
	"path/filepath"
)

// Each peer gets one file, in which a service is what comes closest to ours: an address,
// a program behind it, and how often it is asked.

func writeRules(dir string, n int) ([]string, error) {
	path := filepath.Join(dir, "rules.yml")
	return []string{"check", "rules", path}, one(path, n, "groups:\n- name: all\n  rules:\n", "", func(i int) string {
		return fmt.Sprintf("  - alert: S%05dDown\n    expr: up{job=\"s%05d\", path=\"/srv/s%05d\"} == 0\n    for: 10s\n    labels:\n      severity: page\n    annotations:\n      summary: \"Service %d is down\"\n", i, i, i, i)
	})
}

func writeScrapes(dir string, n int) ([]string, error) {
	path := filepath.Join(dir, "prometheus.yml")
	return []string{"check", "config", path}, one(path, n, "scrape_configs:\n", "", func(i int) string {
		return fmt.Sprintf("- job_name: s%05d\n  scrape_interval: 2s\n  scrape_timeout: 1s\n  metrics_path: /health\n  static_configs:\n  - targets: [\"10.%d.%d.%d:8080\"]\n    labels:\n      path: /srv/s%05d\n", i, i/62500, i/250%250, i%250+1, i)
	})
}

func writeProxies(dir string, n int) ([]string, error) {
	path := filepath.Join(dir, "haproxy.cfg")
	head := "defaults\n  mode http\n  timeout connect 1s\n  timeout client 10s\n  timeout server 10s\n\n"
	return []string{"-c", "-f", path}, one(path, n, head, "", func(i int) string {
		return fmt.Sprintf("listen s%05d\n  bind 127.0.0.1:%d\n  option httpchk GET /health\n  server main 10.%d.%d.%d:8080 check inter 2s fall 3\n\n", i, 20000+i, i/62500, i/250%250, i%250+1)
	})
}

func writeHosts(dir string, n int) ([]string, error) {
	path := filepath.Join(dir, "nginx.conf")
	head := fmt.Sprintf("pid %s/pid;\nerror_log stderr;\nevents {}\nhttp {\n  access_log off;\n  server_names_hash_max_size 8192;\n  server_names_hash_bucket_size 128;\n", dir)
	for _, temp := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		head += fmt.Sprintf("  %s_temp_path %s/%s;\n", temp, dir, temp)
	}
	return []string{"-t", "-q", "-p", dir, "-c", path}, one(path, n, head, "}\n", func(i int) string {
		return fmt.Sprintf("  server {\n    listen 127.0.0.1:19080;\n    server_name s%05d.example;\n    root /srv/s%05d;\n    location /api {\n      proxy_pass http://10.%d.%d.%d:8080;\n      proxy_connect_timeout 2s;\n    }\n  }\n", i, i, i/62500, i/250%250, i%250+1)
	})
}

func writeMonits(dir string, n int) ([]string, error) {
	path := filepath.Join(dir, "monitrc")
	head := fmt.Sprintf("set daemon 30\nset idfile %s/id\nset statefile %s/state\nset pidfile %s/pid\n", dir, dir, dir)
	return []string{"-t", "-c", path}, one(path, n, head, "", func(i int) string {
		return fmt.Sprintf("check process s%05d with pidfile /run/s%05d.pid\n  start program = \"/usr/bin/server --data /srv/s%05d\"\n  stop program = \"/bin/true\"\n  if failed host 10.%d.%d.%d port 8080 protocol http request \"/health\" then restart\n  if 3 restarts within 5 cycles then timeout\n", i, i, i, i/62500, i/250%250, i%250+1)
	})
}
