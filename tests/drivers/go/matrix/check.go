package matrix

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Equal is an error unless got is what was expected.
func Equal[T comparable](what string, got, expected T) error {
	if got != expected {
		return fmt.Errorf("%s: %v, expected %v", what, got, expected)
	}
	return nil
}

// sqlStater is what both pgconn.PgError and pq.Error are.
type sqlStater interface{ SQLState() string }

// SQLState is the code of the server's error within err, or "" if there is none.
func SQLState(err error) string {
	var stater sqlStater
	if errors.As(err, &stater) {
		return stater.SQLState()
	}
	return ""
}

// Outcome tells an error by its SQLSTATE, and the absence of one as "ok".
func Outcome(err error) string {
	switch state := SQLState(err); {
	case err == nil:
		return "ok"
	case state != "":
		return state
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline exceeded"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return err.Error()
	}
}

// Failed is an error unless err is the server's, with that SQLSTATE.
func Failed(what string, err error, state string) error {
	if SQLState(err) != state {
		return fmt.Errorf("%s: %v, expected SQLSTATE %s", what, err, state)
	}
	return nil
}

// Until waits until the condition holds; ctx limits how long.
func Until(ctx context.Context, what string, condition func() (bool, error)) error {
	for {
		holds, err := condition()
		if holds || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
