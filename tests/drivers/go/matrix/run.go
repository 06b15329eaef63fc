package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

const caseLimit = 60 * time.Second

type result struct {
	Row      string  `json:"row"`
	Version  string  `json:"version"`
	Case     string  `json:"case"`
	Result   string  `json:"result"`
	Detail   string  `json:"detail"`
	Observed string  `json:"observed,omitempty"`
	Seconds  float64 `json:"seconds"`
}

// Run runs every case of the entry and writes a line for each to out.
func Run(ctx context.Context, out io.Writer, entry Entry, clients int) error {
	row, problem := entry.Open(ctx, clients)
	if problem == nil {
		defer row.Close()
	}
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for _, c := range cases {
		if !isWanted(c.name) {
			continue
		}
		run := func(ctx context.Context, seen *Seen) error {
			if problem != nil {
				return fmt.Errorf("connecting: %w", problem)
			}
			return c.run(row, ctx, seen)
		}
		result := runCase(ctx, run)
		result.Row, result.Version, result.Case = entry.Name, version(entry.Module), c.name
		if err := lines.Encode(result); err != nil {
			return err
		}
	}
	return nil
}

// isWanted heeds CASES, which names those wanted, a comma between; none means all.
func isWanted(name string) bool {
	wanted := os.Getenv("CASES")
	return wanted == "" || slices.Contains(strings.Split(wanted, ","), name)
}

// runCase gives up a case that does not even end with its context: its goroutine is left behind.
func runCase(ctx context.Context, run func(context.Context, *Seen) error) result {
	ctx, cancel := context.WithTimeout(ctx, caseLimit)
	defer cancel()
	seen := new(Seen)
	done := make(chan error, 1)
	start := time.Now()
	go func() {
		defer func() {
			if reason := recover(); reason != nil {
				done <- fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
			}
		}()
		done <- run(ctx, seen)
	}()

	var err error
	select {
	case err = <-done:
	case <-time.After(caseLimit + 5*time.Second):
		err = fmt.Errorf("still running after %s", caseLimit)
	}
	result := result{Seconds: time.Since(start).Round(time.Millisecond).Seconds()}
	result.Observed, result.Detail = seen.texts()
	switch {
	case err == nil:
		result.Result = "pass"
	case errors.Is(err, ErrAbsent):
		result.Result = "absent"
		result.Detail = strings.TrimPrefix(err.Error(), ErrAbsent.Error()+": ")
	default:
		result.Result, result.Detail = "fail", err.Error()
	}
	return result
}

// version is that of a module that this program was linked with.
func version(module string) string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dependency := range build.Deps {
		if dependency.Path == module {
			return strings.TrimPrefix(dependency.Version, "v")
		}
	}
	return "unknown"
}
