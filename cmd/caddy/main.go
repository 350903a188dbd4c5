// Command caddy is a Caddy with its standard modules and httpout built in:
// what `xcaddy build --with github.com/caddy-httpout/httpout` makes.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-httpout/httpout"
)

func main() {
	caddycmd.Main()
}
