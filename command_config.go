package httpout

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-httpout/httpout/handler"
)

// exitGrace is how long `caddy httpout` waits for open responses when it is
// stopped. A live stream has no end to wait for.
const exitGrace = time.Second

// sharedServer is the name of the server behind both HTTP and HTTPS, and
// sharedSource that of the one for uploads in source mode.
const (
	sharedServer = "main"
	sharedSource = "source"
)

// config returns the configuration that the command runs.
func (l *launch) config(hosts []string) (*caddy.Config, error) {
	inputs, err := l.inputs()
	if err != nil {
		return nil, err
	}
	app := &App{Inputs: inputs}
	handlers := l.handlers()
	if len(l.ports) > 1 {
		// both ports share, so that they have the same uploads and limits
		app.Servers = make(map[string]*handler.Options)
		for i, h := range handlers {
			name := sharedServer
			if modeOf(&h.Options) == modeSource {
				name = sharedSource
			}
			app.Servers[name] = &h.Options
			handlers[i] = handler.Handler{Server: name, Destination: h.Destination}
		}
	}
	var route caddyhttp.Route
	for i := range handlers {
		raw := caddyconfig.JSONModuleObject(&handlers[i], "handler", "httpout", nil)
		route.HandlersRaw = append(route.HandlersRaw, raw)
	}
	routes := caddyhttp.RouteList{route}

	servers := make(map[string]*caddyhttp.Server, len(l.ports))
	for i, port := range l.ports {
		srv := &caddyhttp.Server{
			Listen:    listenAddresses(hosts, port),
			Routes:    routes,
			AutoHTTPS: &caddyhttp.AutoHTTPSConfig{Disabled: true},
		}
		if l.accessLog {
			srv.Logs = new(caddyhttp.ServerLogConfig)
		}
		name := "http"
		if l.secure(i) {
			name = "https"
			// the one certificate is for all names, whatever it says itself
			srv.TLSConnPolicies = caddytls.ConnectionPolicies{{
				CertSelection: &caddytls.CustomCertSelectionPolicy{AnyTag: []string{"httpout"}},
			}}
		}
		servers[name] = srv
	}

	persist := false
	cfg := &caddy.Config{
		Admin: &caddy.AdminConfig{
			Disabled: l.admin == "",
			Listen:   l.admin,
			Config:   &caddy.ConfigSettings{Persist: &persist},
		},
		AppsRaw: caddy.ModuleMap{
			"http": caddyconfig.JSON(caddyhttp.App{
				GracePeriod: caddy.Duration(exitGrace),
				Servers:     servers,
			}, nil),
			"httpout": caddyconfig.JSON(app, nil),
		},
	}
	if l.cert != "" {
		cfg.AppsRaw["tls"] = caddyconfig.JSON(caddytls.TLS{
			CertificatesRaw: caddy.ModuleMap{
				"load_files": caddyconfig.JSON(caddytls.FileLoader{
					{Certificate: l.cert, Key: l.pkey, Tags: []string{"httpout"}},
				}, nil),
			},
		}, nil)
	}
	if l.debug {
		cfg.Logging = &caddy.Logging{
			Logs: map[string]*caddy.CustomLog{
				caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: zap.DebugLevel.CapitalString()}},
			},
		}
	}
	return cfg, nil
}

// secure reports whether the port with the index is for HTTPS: with a
// certificate, the only one or the second.
func (l *launch) secure(i int) bool {
	return l.cert != "" && i == len(l.ports)-1
}

// urls returns where the server can be reached, for people to click on.
func (l *launch) urls(hosts []string) []string {
	if len(hosts) == 0 {
		hosts = append([]string{"localhost"}, ownAddresses(maxShownAddresses)...)
	}
	var urls []string
	for i, port := range l.ports {
		scheme, usual := "http", 80
		if l.secure(i) {
			scheme, usual = "https", 443
		}
		for _, host := range hosts {
			if port != usual {
				host = net.JoinHostPort(host, strconv.Itoa(port))
			} else if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
			base := scheme + "://" + host
			if l.demo {
				urls = append(urls, base+"/index.html")
			}
			urls = append(urls, base+l.urlPath())
		}
	}
	return urls
}

// urlPath returns the path of the URLs that are told: that of the live stream,
// if there is one.
func (l *launch) urlPath() string {
	if l.Dst == "" {
		return "/"
	}
	return (&url.URL{Path: l.Dst}).EscapedPath()
}

// maxShownAddresses limits the addresses whose URLs are printed.
const maxShownAddresses = 3

// ownAddresses returns addresses by which other machines may reach this one.
func ownAddresses(limit int) []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil // localhost is told in any case
	}
	var hosts []string
	for _, addr := range addrs {
		ip, ok := addressOf(addr)
		if ok && ip.IsGlobalUnicast() && len(hosts) < limit {
			hosts = append(hosts, ip.String())
		}
	}
	return hosts
}

// listenHosts returns the hosts to listen on for the value of --ifce: an
// address, or all addresses of a network interface. None means all.
func listenHosts(ifce string) ([]string, error) {
	if ifce == "" {
		return nil, nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(ifce, "[]")); err == nil {
		return []string{ip.String()}, nil
	}
	ifi, err := net.InterfaceByName(ifce)
	if err != nil {
		if _, err := net.LookupHost(ifce); err != nil {
			return nil, fmt.Errorf("'%s' is neither an address nor a network interface", ifce)
		}
		return []string{ifce}, nil
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, addr := range addrs {
		// a link-local address is of no use without its zone
		if ip, ok := addressOf(addr); ok && !ip.IsLinkLocalUnicast() {
			hosts = append(hosts, ip.String())
		}
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("network interface '%s' has no address", ifce)
	}
	return hosts, nil
}

// addressOf returns the IP address of an interface's address.
func addressOf(addr net.Addr) (netip.Addr, bool) {
	prefix, err := netip.ParsePrefix(addr.String())
	return prefix.Addr(), err == nil
}

// listenAddresses returns the hosts with the port, in Caddy's notation.
func listenAddresses(hosts []string, port int) []string {
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	list := make([]string, len(hosts))
	for i, host := range hosts {
		list[i] = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return list
}

// joinPorts writes ports the way the flag has them.
func joinPorts(ports []int) string {
	text := make([]string, len(ports))
	for i, port := range ports {
		text[i] = strconv.Itoa(port)
	}
	return strings.Join(text, ",")
}
