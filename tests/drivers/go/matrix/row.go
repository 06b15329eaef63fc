// Package matrix runs the twelve cases of the driver matrix on rows, which are drivers in one of
// their modes, and tells the outcome of each as a line of JSON.
package matrix

import (
	"context"
	"fmt"
	"slices"
)

// Row is a driver in one of its modes, connected.
type Row interface {
	CRUD(context.Context, *Seen) error
	Types(context.Context, *Seen) error
	Statements(context.Context, *Seen) error
	Batch(context.Context, *Seen) error
	Copy(context.Context, *Seen) error
	Transactions(context.Context, *Seen) error
	PipelineErrors(context.Context, *Seen) error
	LargeRows(context.Context, *Seen) error
	Cancel(context.Context, *Seen) error
	Notify(context.Context, *Seen) error
	SessionSet(context.Context, *Seen) error
	SchemaChange(context.Context, *Seen) error
	Close()
}

// Case is one column of the matrix. What its user saw, and what is to be told of it, goes to Seen.
type Case func(Row, context.Context, *Seen) error

var cases = []struct {
	name string
	run  Case
}{
	{"crud", Row.CRUD},
	{"types", Row.Types},
	{"statements", Row.Statements},
	{"batch", Row.Batch},
	{"copy", Row.Copy},
	{"transactions", Row.Transactions},
	{"pipeline_errors", Row.PipelineErrors},
	{"large_rows", Row.LargeRows},
	{"cancel", Row.Cancel},
	{"notify", Row.Notify},
	{"session_set", Row.SessionSet},
	{"schema_change", Row.SchemaChange},
}

// Entry is how a row is opened.
type Entry struct {
	Name   string // as its users would say
	Module string // whose version is told
	Open   func(ctx context.Context, clients int) (Row, error)
}

// Select returns the entries named, all of them if no name is given.
func Select(entries []Entry, names []string) ([]Entry, error) {
	if len(names) == 0 {
		return entries, nil
	}
	var selected []Entry
	for _, name := range names {
		i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no row is named %q", name)
		}
		selected = append(selected, entries[i])
	}
	return selected, nil
}
