<?php

// Runs the cases of the driver matrix for the rows named (default: all), one row behind the other;
// prints one line of JSON per row and case.

declare(strict_types=1);

require __DIR__ . '/session.php';
require __DIR__ . '/with_pdo.php';
require __DIR__ . '/with_pgsql.php';
require __DIR__ . '/crowd.php';
require __DIR__ . '/cases.php';

const CLIENTS_BY_DEFAULT = 8;

/** @return array{result: string, detail?: string, observed?: string} */
function outcome(Row $row, string $name, Crowd $crowd): array
{
    if (isset($row->absent[$name])) {
        return ['result' => 'absent', 'detail' => $row->absent[$name]];
    }
    try {
        return ['result' => 'pass', 'observed' => (string) (new Cases($row, $crowd))->$name()];
    } catch (Throwable $error) {
        fwrite(STDERR, "{$row->name}: $name: $error\n");
        return ['result' => 'fail', 'detail' => mb_substr($error->getMessage(), 0, 500)];
    }
}

pg_query(pg_connect(''), <<<'SQL'
    DO $$ BEGIN
      CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
    SQL);

$wanted = array_slice($argv, 1);
$cases = getenv('CASES') ? array_intersect(Cases::NAMES, explode(',', getenv('CASES'))) : Cases::NAMES;
$crowd = new Crowd((int) (getenv('CLIENTS') ?: CLIENTS_BY_DEFAULT));
foreach ([...pdoRows(), ...pgsqlRows()] as $row) {
    if ($wanted && !in_array($row->name, $wanted, true)) {
        continue;
    }
    foreach ($cases as $name) {
        $start = hrtime(true);
        $outcome = outcome($row, $name, $crowd);
        $seconds = round((hrtime(true) - $start) / 1e9, 2);
        echo json_encode(
            ['row' => $row->name, 'version' => $row->version, 'case' => $name, ...$outcome, 'seconds' => $seconds],
            JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE,
        ), "\n";
    }
}
