package matrix

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// ErrAbsent is the outcome of a case for which the driver has nothing; wrap it by Absent.
var ErrAbsent = errors.New("absent")

// Absent tells what the driver does not have.
func Absent(what string) error {
	return fmt.Errorf("%w: %s", ErrAbsent, what)
}

// Seen collects what a case has to tell beside its outcome.
type Seen struct {
	mutex    sync.Mutex
	observed []string
	notes    []string
}

// Observe adds what the user of a driver sees: it must be the same with and without pgsluice, so
// nothing that changes from run to run belongs here.
func (s *Seen) Observe(format string, arguments ...any) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.observed = append(s.observed, fmt.Sprintf(format, arguments...))
}

// ObserveSame adds what each of several clients saw, once; it is an error if they differ.
func (s *Seen) ObserveSame(texts []string) error {
	for client, text := range texts {
		if text != texts[0] {
			return fmt.Errorf("client %d saw %q, but client 0 saw %q", client, text, texts[0])
		}
	}
	s.Observe("%s", texts[0])
	return nil
}

// NoteOnce adds a remark for the reader of the table, unless it is there.
func (s *Seen) NoteOnce(text string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

func (s *Seen) texts() (observed, notes string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return strings.Join(s.observed, "; "), strings.Join(s.notes, "; ")
}
