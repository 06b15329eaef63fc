package matrix

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Clients runs n clients at the same time; the first error ends the context of the others.
func Clients(ctx context.Context, n int, run func(ctx context.Context, client int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for client := range n {
		group.Go(func() error {
			if err := run(ctx, client); err != nil {
				return fmt.Errorf("client %d: %w", client, err)
			}
			return nil
		})
	}
	return group.Wait()
}
