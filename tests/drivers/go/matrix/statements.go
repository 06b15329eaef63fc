package matrix

import "fmt"

// StatementClients run the many statements at the same time.
const StatementClients = 4

// Beyond is three times what a driver's cache holds, or somewhat more than it holds if Quick.
func Beyond(cache int) int {
	if Quick {
		return cache + cache/4
	}
	return 3 * cache
}

// Statement is one of many distinct texts, its argument, and its result as fmt.Sprint shows it.
type Statement struct {
	SQL      string
	Argument any
	Expected string
}

// Statements makes n distinct statements, whose results have six types in turn.
func Statements(n int) []Statement {
	statements := make([]Statement, n)
	for i := range n {
		statements[i] = statement(i)
	}
	return statements
}

func statement(i int) Statement {
	switch i % 6 {
	case 0:
		return Statement{fmt.Sprintf("SELECT $1::int4 + %d", i), int32(i), fmt.Sprint(2 * i)}
	case 1:
		return Statement{fmt.Sprintf("SELECT $1::text || '-%d'", i), "ü", fmt.Sprintf("ü-%d", i)}
	case 2:
		return Statement{fmt.Sprintf("SELECT $1::int8 * %d > 100", i), int64(1), fmt.Sprint(i > 100)}
	case 3:
		return Statement{fmt.Sprintf("SELECT $1::float8 + %d", i), 0.5, fmt.Sprintf("%d.5", i)}
	case 4:
		return Statement{fmt.Sprintf("SELECT ($1::int2 + %d)::int8", i), int16(7), fmt.Sprint(i + 7)}
	default:
		return Statement{fmt.Sprintf("SELECT ('s%d' || $1::text)::varchar(20)", i), "x",
			fmt.Sprintf("s%dx", i)}
	}
}
