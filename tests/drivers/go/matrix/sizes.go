package matrix

import (
	"math/rand/v2"
	"os"
)

// Quick asks for smaller sizes.
var Quick = os.Getenv("QUICK") == "1"

// Size is the full one, or an eighth of it if Quick.
func Size(full int) int {
	if Quick {
		return full / 8
	}
	return full
}

// LargeValue is 64 MB of bytes that do not compress, the same each time for a client.
func LargeValue(client int) []byte {
	var seed [32]byte
	seed[0] = byte(client)
	value := make([]byte, Size(64<<20))
	// ChaCha8's Read never fails.
	rand.NewChaCha8(seed).Read(value)
	return value
}
