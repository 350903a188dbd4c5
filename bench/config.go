//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
)

// caddyOptions returns the global options of every Caddy.
func caddyOptions(dir string, p *peer) string {
	admin := "off"
	if p.profile != "" {
		admin = strings.TrimPrefix(p.profile, "http://")
	}
	return fmt.Sprintf(`	admin %s
	auto_https off
	persist_config off
	storage file_system "%s/storage"
	grace_period 1s
`, admin, dir)
}

// caddyfile returns the configuration of a Caddy with us or with file_server.
// The peers' configurations differ from their defaults only where the defaults
// would limit the load or leave files outside of the temporary directory.
func caddyfile(dir, www string, p *peer, ours bool) []byte {
	var s strings.Builder
	fmt.Fprintf(&s, "{\n%s}\n", caddyOptions(dir, p))
	site := func(port uint16, directive string) {
		fmt.Fprintf(&s, "http://:%d {\n\tbind 127.0.0.1\n%s}\n", port, directive)
	}
	if !ours {
		site(p.addr.Port(), fmt.Sprintf("\troot * \"%s\"\n\tfile_server browse\n", www))
		return []byte(s.String())
	}
	httpout := func(rdirs, wdir string) string {
		return fmt.Sprintf("\thttpout {\n\t\trdirs \"%s\"\n\t\twdir \"%s\"\n\t\tdlist\n\t\tmaxc 0\n\t\tmaxp 0\n\t\tmaxs 0\n\t}\n", rdirs, wdir)
	}
	site(p.addr.Port(), httpout(www, p.putDir))
	site(p.live.Port(), httpout(p.liveDir, p.liveDir))
	return []byte(s.String())
}

// nginxConf returns the configuration of an nginx with two workers. Its log of
// requests is off because Caddy has none by default.
func nginxConf(dir, www string, p *peer) []byte {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // or the workers could not read a private directory
	}
	return fmt.Appendf(nil, `%[1]sdaemon off;
worker_processes 2;
worker_rlimit_nofile 4096;
pid "%[2]s/nginx.pid";
error_log stderr warn;
events { worker_connections 2048; }
http {
	access_log off;
	types { }
	default_type application/octet-stream;
	sendfile on;
	tcp_nopush on;
	keepalive_timeout 600s;
	keepalive_requests 1000000000;
	client_max_body_size 0;
	client_body_temp_path "%[2]s/body";
	proxy_temp_path "%[2]s/proxy";
	fastcgi_temp_path "%[2]s/fastcgi";
	uwsgi_temp_path "%[2]s/uwsgi";
	scgi_temp_path "%[2]s/scgi";
	server {
		listen %[3]s backlog=4096;
		root "%[4]s";
		location / { autoindex on; }
		location /up/ {
			root "%[2]s/root";
			dav_methods PUT DELETE;
			create_full_put_path on;
		}
	}
}
`, user, dir, p.addr, www)
}
