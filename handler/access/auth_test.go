package access

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

var (
	client1 = netip.MustParseAddr("192.0.2.1")
	client2 = netip.MustParseAddr("192.0.2.2")
)

// authTest counts the passwords that an Authenticator compares.
type authTest struct {
	*Authenticator
	t        *testing.T
	users    *Users
	compared atomic.Int32
	running  atomic.Int32
	most     atomic.Int32 // the largest running
}

// newAuthTest returns an Authenticator whose comparisons take some time and
// find that the password is "right" followed by anything.
func newAuthTest(t *testing.T, took time.Duration, names ...string) *authTest {
	a := &authTest{Authenticator: NewAuthenticator(), t: t}
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%s:%s\n", name, bcryptSecret)
	}
	a.users = parseUsers(t, text.String())
	a.compare = func(c *credential, password string) bool {
		a.compared.Add(1)
		a.most.Store(max(a.most.Load(), a.running.Add(1)))
		time.Sleep(took)
		a.running.Add(-1)
		return strings.HasPrefix(password, "right")
	}
	return a
}

func (a *authTest) verify(client netip.Addr, user, password string) error {
	return a.Verify(a.t.Context(), a.users, client, user, password)
}

func (a *authTest) want(client netip.Addr, user, password string, want error) {
	a.t.Helper()
	if err := a.verify(client, user, password); !errors.Is(err, want) {
		a.t.Errorf("%s as %s with %q: got error %v, want %v", client, user, password, err, want)
	}
}

func (a *authTest) wantCompared(want int32) {
	a.t.Helper()
	if got := a.compared.Load(); got != want {
		a.t.Errorf("got %d comparisons, want %d", got, want)
	}
}

func TestVerify(t *testing.T) {
	a := NewAuthenticator()
	htpasswd := parseUsers(t, "bob:"+bcryptSecret+"\nzoë:"+bcryptUmlauts+"\n")
	for _, tc := range []struct {
		name           string
		users          *Users
		user, password string
		want           error
	}{
		{"right", htpasswd, "bob", "secret", nil},
		{"right again", htpasswd, "bob", "secret", nil},
		{"wrong", htpasswd, "bob", "secre", ErrUnauthorized},
		{"wrong after right", htpasswd, "bob", "secrett", ErrUnauthorized},
		{"user and password split elsewhere", htpasswd, "bobs", "ecret", ErrUnauthorized},
		{"UTF-8", htpasswd, "zoë", "pässwörd", nil},
		{"unknown user with a known password", htpasswd, "eve", "secret", ErrUnauthorized},
		{"unknown user with a known password again", htpasswd, "eve", "secret", ErrUnauthorized},
		{"reference", parseUsers(t, referenceUsers), "bob", "open sesame", nil},
		{"reference wrong", parseUsers(t, referenceUsers), "bob", "secret", ErrUnauthorized},
		{"nobody left", parseUsers(t, ""), "bob", "secret", ErrUnauthorized},
		{"no users", nil, "bob", "secret", ErrUnauthorized},
		{"no users, no password", nil, "", "", ErrUnauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := a.Verify(t.Context(), tc.users, client1, tc.user, tc.password); !errors.Is(err, tc.want) {
				t.Errorf("got error %v, want %v", err, tc.want)
			}
		})
	}
}

func TestRightPasswordIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, 0, "bob")
		for range 3 {
			a.want(client1, "bob", "right", nil)
			a.want(client2, "bob", "right", nil)
			time.Sleep(verifiedTTL/3 - 1)
		}
		a.wantCompared(1)
		time.Sleep(3)
		a.want(client1, "bob", "right", nil)
		a.wantCompared(2)
	})
}

func TestWrongPasswordIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, 0, "bob")
		a.want(client1, "bob", "wrong", ErrUnauthorized)
		a.want(client1, "bob", "wrong", ErrUnauthorized)
		a.wantCompared(2)
	})
}

func TestUnknownUserIsComparedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, time.Second, "bob")
		for i, user := range []string{"eve", "eve", "bob"} {
			start := time.Now()
			password := "right"
			if user == "bob" {
				password = "wrong"
			}
			a.want(client1, user, password, ErrUnauthorized)
			a.wantCompared(int32(i + 1))
			if got := time.Since(start); got != time.Second {
				t.Errorf("%s: got an answer after %v, want 1s", user, got)
			}
		}
	})
}

func TestNewPasswordIsNeededAtOnce(t *testing.T) {
	a := NewAuthenticator()
	verify := func(users *Users) error {
		return a.Verify(t.Context(), users, client1, "bob", "secret")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, users string
		want        error
	}{
		{"before", "bob:" + bcryptSecret, nil},
		{"other user changed", "eve:" + bcryptUmlauts + "\nbob:" + bcryptSecret, nil},
		{"changed", "bob:" + bcryptUmlauts, ErrUnauthorized},
		{"removed", "eve:" + bcryptSecret, ErrUnauthorized},
		{"same password, new hash", "bob:" + string(hash), nil},
		{"back", "bob:" + bcryptSecret, nil},
	} {
		if err := verify(parseUsers(t, tc.users)); !errors.Is(err, tc.want) {
			t.Errorf("%s: got error %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestFailuresAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, 0, "bob")
		a.want(client2, "bob", "right", nil)
		for i := range failureBurst {
			a.want(client1, "bob", "wrong", ErrUnauthorized)
			if i == failureBurst/2 {
				a.want(client1, "bob", "right2", nil) // changes nothing
			}
		}
		a.wantCompared(failureBurst + 2)

		// Not even the right password is looked at, known or not.
		for _, password := range []string{"wrong", "right", "right3"} {
			err := a.verify(client1, "bob", password)
			tooMany, ok := errors.AsType[*TooManyFailuresError](err)
			if !ok || !errors.Is(err, ErrTooManyFailures) || tooMany.RetryAfter != failureInterval {
				t.Errorf("%q: got error %v, want one that says %v", password, err, failureInterval)
			}
		}
		a.wantCompared(failureBurst + 2)
		a.want(client2, "bob", "wrong", ErrUnauthorized)
		a.want(client2, "bob", "right", nil)

		time.Sleep(failureInterval - time.Second)
		err := a.verify(client1, "bob", "right")
		if tooMany, ok := errors.AsType[*TooManyFailuresError](err); !ok || tooMany.RetryAfter.Round(time.Millisecond) != time.Second {
			t.Errorf("got error %v, want one that says 1s", err)
		}
		time.Sleep(time.Second + time.Millisecond)
		a.want(client1, "bob", "right", nil)
		a.want(client1, "bob", "wrong", ErrUnauthorized)
		a.want(client1, "bob", "right", ErrTooManyFailures)

		time.Sleep(time.Hour)
		for range failureBurst {
			a.want(client1, "bob", "wrong", ErrUnauthorized)
		}
		a.want(client1, "bob", "wrong", ErrTooManyFailures)
	})
}

func TestGuessesAtTheSameTimeAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, 50*time.Millisecond, "bob")
		var unauthorized, refused atomic.Int32
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				switch err := a.verify(client1, "bob", fmt.Sprint("wrong", i)); {
				case errors.Is(err, ErrUnauthorized):
					unauthorized.Add(1)
				case errors.Is(err, ErrTooManyFailures):
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if got := unauthorized.Load(); got != failureBurst {
			t.Errorf("got %d answers, want %d", got, failureBurst)
		}
		if got := refused.Load(); got != 50-failureBurst {
			t.Errorf("got %d refusals, want %d", got, 50-failureBurst)
		}
		a.wantCompared(failureBurst)
	})
}

func TestManyLoginsAtTheSameTimeAreNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 5 * failureBurst {
			names = append(names, fmt.Sprint("user", i))
		}
		a := newAuthTest(t, 50*time.Millisecond, names...)
		var wg sync.WaitGroup
		for _, name := range names {
			for range 3 {
				wg.Go(func() { a.want(client1, name, "right", nil) })
			}
		}
		wg.Wait()
		a.wantCompared(int32(len(names)))
		if got, limit := int(a.most.Load()), cap(a.slots); got > limit {
			t.Errorf("got %d comparisons at a time, want at most %d", got, limit)
		}
		if got := a.failures.clients.Len(); got != 0 {
			t.Errorf("got %d clients with failures, want 0", got)
		}
	})
}

func TestSamePasswordIsComparedOnce(t *testing.T) {
	for _, tc := range []struct {
		password string
		want     error
	}{{"right", nil}, {"wrong", ErrUnauthorized}} {
		synctest.Test(t, func(t *testing.T) {
			a := newAuthTest(t, 50*time.Millisecond, "bob")
			var wg sync.WaitGroup
			for i := range 200 {
				client := netip.AddrFrom4([4]byte{10, 0, 0, byte(i / 2)})
				wg.Go(func() { a.want(client, "bob", tc.password, tc.want) })
			}
			wg.Wait()
			a.wantCompared(1)
			if got := len(a.flights); got != 0 {
				t.Errorf("got %d flights at the end, want 0", got)
			}
		})
	}
}

func TestClientThatLeavesTheQueueDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, time.Second, "bob")
		for range cap(a.slots) {
			a.slots <- struct{}{} // busy
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := a.Verify(ctx, a.users, client1, "bob", "right"); !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v, want %v", err, context.Canceled)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if err := a.Verify(ctx, a.users, client2, "bob", "right"); !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v, want %v", err, context.Canceled)
			}
		})
		wg.Go(func() { a.want(client2, "bob", "right", nil) })
		wg.Go(func() { a.want(client1, "bob", "right", nil) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		<-a.slots
		wg.Wait()
		a.wantCompared(1)
		if got := a.failures.clients.Len(); got != 0 {
			t.Errorf("got %d clients with failures, want 0", got)
		}
	})
}

func TestClientCannotTakeBackAGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, time.Second, "bob")
		for i := range failureBurst {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if err := a.Verify(ctx, a.users, client1, "bob", fmt.Sprint("wrong", i)); err == nil {
				t.Error("got no error, want one")
			}
			cancel()
		}
		time.Sleep(time.Second)
		var tooMany int
		for range failureBurst {
			if err := a.verify(client1, "bob", "wrong"); errors.Is(err, ErrTooManyFailures) {
				tooMany++
			}
		}
		if tooMany == 0 {
			t.Error("got no refusal, want cancelled guesses to count")
		}
	})
}

func TestWaitingForATokenEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, time.Second, "bob")
		var wg sync.WaitGroup
		for i := range failureBurst {
			wg.Go(func() { a.want(client1, "bob", fmt.Sprint("right", i), nil) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := a.Verify(ctx, a.users, client1, "bob", "right"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
		}
		wg.Wait()
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthTest(t, 0, "bob")
		for range cap(a.slots) {
			a.slots <- struct{}{}
		}
		var wg sync.WaitGroup
		for i := range maxFlights {
			client := netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)})
			wg.Go(func() { a.want(client, "bob", fmt.Sprint("wrong", i), ErrUnauthorized) })
		}
		synctest.Wait()
		a.want(client1, "bob", "right", ErrBusy)
		for range cap(a.slots) {
			<-a.slots
		}
		wg.Wait()
		a.want(client1, "bob", "right", nil)
	})
}

func BenchmarkVerifyRemembered(b *testing.B) {
	for _, bm := range []struct{ name, users, password string }{
		{"htpasswd", "bob:" + bcryptSecret, "secret"},
		{"reference", referenceUsers, "open sesame"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			a := NewAuthenticator()
			users := parseUsers(b, bm.users)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := a.Verify(ctx, users, client1, "bob", bm.password); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyRememberedParallel(b *testing.B) {
	a := NewAuthenticator()
	users := parseUsers(b, "bob:"+bcryptSecret)
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := a.Verify(ctx, users, client1, "bob", "secret"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
