// Package access decides who may read and write which path.
//
// It has three parts that do not know each other: rule files, which give
// folders their names and rights ([Rules], [Rights]); users and groups, which
// come from htpasswd and htgroup files ([Users], [Groups]); and the
// [Authenticator], which checks a user's password. [Watched] keeps a value
// current with the file it was parsed from. The package knows neither Caddy
// nor requests.
//
// Lock order: Authenticator.mu, then failures.mu. Nothing is computed, waited
// for or reported while one of them is held.
package access
