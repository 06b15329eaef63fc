<?php

declare(strict_types=1);

final class Failure extends RuntimeException
{
}

final class Undo extends RuntimeException
{
}

/** The cases. Each returns what it observed, if that may differ between direct and through pgsluice. */
final class Cases
{
    public const NAMES = ['crud', 'types', 'statements', 'batch', 'copy', 'transactions', 'pipeline_errors',
        'large_rows', 'cancel', 'notify', 'session_set', 'schema_change'];

    private const ZONES = ['Asia/Tokyo', 'Europe/Berlin', 'America/Lima', 'Africa/Cairo'];
    private const UUID = '6f1c2a30-9c4b-4b0e-8d55-0123456789ab';

    /** Type, parameter, what the server makes of it. */
    private const SAMPLES = [
        ['int2', -32768, '-32768'], ['int4', 2147483647, '2147483647'],
        ['int8', 9223372036854775807, '9223372036854775807'],
        ['numeric', '12345678901234567890.123456789', '12345678901234567890.123456789'],
        ['float8', '0.30000000000000004', '0.30000000000000004'],
        ['bool', true, 'true'], ['bool', false, 'false'],
        ['text', '', ''], ['text', 'it\'s "quoted" \\ and 1', 'it\'s "quoted" \\ and 1'],
        ['text', 'Grüße, 東京, 🐘', 'Grüße, 東京, 🐘'],
        ['date', '2024-02-29', '2024-02-29'],
        ['timestamp', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789'],
        ['timestamptz', '2024-02-29 12:34:56.789+00', '2024-02-29 12:34:56.789+00'],
        ['interval', '1 day 02:03:04', '1 day 02:03:04'], ['uuid', self::UUID, self::UUID],
        ['json', '{"a":[1,"zwei",null]}', '{"a":[1,"zwei",null]}'],
        ['jsonb', '{"a":[1,"zwei",null]}', '{"a": [1, "zwei", null]}'],
        ['int4[]', '{1,NULL,-3}', '{1,NULL,-3}'], ['text[]', '{"a \\"b\\"",NULL}', '{"a \\"b\\"",NULL}'],
        ['mood', 'happy', 'happy'], ['inet', '192.168.1.0/24', '192.168.1.0/24'],
    ];

    private readonly bool $quick;

    public function __construct(private readonly Row $row, private readonly Crowd $crowd)
    {
        $this->quick = getenv('QUICK') === '1';
    }

    public function crud(): void
    {
        $table = $this->create('crud', 'id int PRIMARY KEY, name text, price numeric');
        $this->sessions(function (Session $session, int $n) use ($table) {
            $select = fn ($id) => $session->query("SELECT name, price::text FROM $table WHERE id = $1", [$id])->rows;
            foreach (range($n * 1000, $n * 1000 + 19) as $id) {
                $values = [$id, "item $id", "$id.50"];
                self::equal(1, $session->query("INSERT INTO $table VALUES ($1, $2, $3)", $values)->count);
                self::equal([['name' => "item $id", 'price' => "$id.50"]], $select($id));
                $update = "UPDATE $table SET price = $1 WHERE id = $2";
                self::equal(1, $session->query($update, ["$id.75", $id])->count);
                self::equal("$id.75", $select($id)[0]['price']);
            }
            foreach (range($n * 1000, $n * 1000 + 19) as $id) {
                self::equal(1, $session->query("DELETE FROM $table WHERE id = $1", [$id])->count);
                self::equal(0, $session->query("DELETE FROM $table WHERE id = $1", [$id])->count);
                self::equal([], $select($id));
            }
        });
    }

    public function types(): void
    {
        $this->sessions(function (Session $session) {
            foreach (self::SAMPLES as [$type, $value, $text]) {
                self::equal($text, $session->query("SELECT CAST(CAST($1 AS $type) AS text) AS v", [$value])->rows[0]['v']);
                $back = $session->query("SELECT CAST($1 AS $type) AS v", [$value])->rows[0]['v'];
                $shown = is_bool($back) || $type === 'bool' ? (in_array($back, [true, 't'], true) ? 'true' : 'false') : (string) $back;
                self::equal($text, $shown);
            }
            $bytes = implode('', array_map(chr(...), range(0, 255)));
            $hex = "SELECT encode(CAST($1 AS bytea), 'hex') AS v";
            self::equal(bin2hex($bytes), $session->query($hex, [$session->bytes($bytes)])->rows[0]['v']);
            $back = $session->query('SELECT CAST($1 AS bytea) AS v', [$session->bytes($bytes)])->rows[0]['v'];
            self::equal(bin2hex($bytes), bin2hex($session->bytesOf($back)));
            foreach (['int4', 'text', 'bytea', 'timestamptz', 'jsonb', 'int4[]', 'mood'] as $type) {
                self::equal([['v' => null]], $session->query("SELECT CAST($1 AS $type) AS v", [null])->rows);
            }
        });
    }

    public function statements(): void
    {
        $types = ['int4', 'text', 'numeric', 'int8', 'varchar'];
        $this->sessions(function (Session $session, int $n) use ($types) {
            foreach (range(1, 2) as $round) {
                for ($i = 0; $i < ($this->quick ? 120 : 300); $i++) {
                    $text = "SELECT CAST(CAST($1 AS int4) + $i AS {$types[$i % 5]}) AS c$i";
                    foreach (range(1, 2) as $time) {
                        self::equal((string) ($n + $i), (string) $session->query($text, [$n])->rows[0]["c$i"]);
                    }
                }
            }
        });
    }

    public function copy(): string
    {
        $rows = $this->quick ? 2_000 : 20_000;
        return $this->agreed($this->sessions(function (Session $session, int $n) use ($rows) {
            $table = $this->create("copy_$n", 'id int, name text');
            $count = fn () => (int) $session->query("SELECT count(*) AS n FROM $table")->rows[0]['n'];
            $lines = array_map(fn ($i) => "$i\tclient $n, row $i\n", range(0, $rows - 1));
            $session->copyIn($table, $lines);
            self::equal($rows, $count());
            self::equal($lines, $session->copyOut($table));
            $spoilt = $lines;
            $spoilt[$rows / 2] = "spoilt\n";
            $seen = $this->refusal(fn () => $session->copyIn($table, $spoilt));
            self::equal($rows, $count());
            $session->copyIn($table, $lines);
            self::equal(2 * $rows, $count());
            return $seen;
        }));
    }

    public function transactions(): string
    {
        $table = $this->create('transactions', 'client int, step text');
        return $this->agreed($this->sessions(function (Session $session, int $n) use ($table) {
            $insert = fn (string $step) => $session->query("INSERT INTO $table VALUES ($1, $2)", [$n, $step]);
            $elsewhere = fn () => array_column($this->row->open()->query(
                "SELECT step FROM $table WHERE client = $1 ORDER BY step", [$n])->rows, 'step');
            $undo = fn () => throw new Undo();
            $level = fn () => $session->query('SHOW transaction_isolation')->rows[0]['transaction_isolation'];

            $session->transaction(fn () => $insert('a'));
            self::equal(['a'], $elsewhere());
            self::undone(fn () => $session->transaction(fn () => [$insert('b'), $undo()]));
            self::equal(['a'], $elsewhere());
            $code = $session->transaction(function () use ($session, $insert, $undo) {
                $session->savepoint(fn () => $insert('c'));
                $code = $this->refusal(fn () => $session->savepoint(
                    fn () => [$insert('d'), $session->query('SELECT 1 / CAST($1 AS int4)', [0])]));
                $session->savepoint(fn () => [
                    $insert('e'),
                    self::undone(fn () => $session->savepoint(fn () => [$insert('f'), $undo()])),
                ]);
                $insert('g');
                return $code;
            });
            self::equal(['a', 'c', 'e', 'g'], $elsewhere());
            self::equal('serializable', $session->transaction($level, 'serializable'));
            self::equal('read committed', $level());
            return $code;
        }));
    }

    public function pipeline_errors(): string
    {
        $table = $this->create('pipeline_errors', 'client int, step int');
        return $this->agreed($this->sessions(function (Session $session, int $n) use ($table) {
            $insert = fn (string $step) => "INSERT INTO $table VALUES ($n, $step)";
            $script = implode('; ', array_map($insert, ['1', '2', '1 / 0', '3']));
            $seen = [$this->refusal(fn () => $session->script($script))];
            $script = 'BEGIN; ' . $insert('4') . '; COMMIT; ' . $insert('1 / 0') . '; ' . $insert('5');
            $seen[] = $this->refusal(fn () => $session->script($script));
            $rows = $session->query("SELECT step FROM $table WHERE client = $1 ORDER BY step", [$n])->rows;
            return implode('; ', [...$seen, ...array_column($rows, 'step')]);
        }));
    }

    public function large_rows(): void
    {
        $table = $this->create('large_rows', 'id int, value bytea');
        $this->sessions(function (Session $session, int $n) use ($table) {
            $value = random_bytes(($this->quick ? 4 : 64) * 1024 * 1024);
            $session->query("INSERT INTO $table VALUES ($1, $2)", [$n, $session->bytes($value)]);
            $row = $session->query("SELECT value, md5(value) AS sum FROM $table WHERE id = $1", [$n])->rows[0];
            self::equal(md5($value), $row['sum']);
            self::equal($row['sum'], md5($session->bytesOf($row['value'])));
        }, min(2, $this->crowd->size));
        $this->row->open()->query("DROP TABLE $table");
    }

    public function cancel(): string
    {
        $seen = $this->sessions(function (Session $session, int $n) {
            $start = microtime(true);
            if ($n % 2 === 0) {
                $seen = $this->refusal(fn () => $session->cancelled('SELECT pg_sleep(60)', 0.5));
                if (microtime(true) - $start > 10) {
                    throw new Failure('it takes too long');
                }
            } else {
                $session->query('SELECT pg_sleep(1)');
            }
            self::equal($n, (int) $session->query('SELECT CAST($1 AS int4) AS n', [$n])->rows[0]['n']);
            return $seen ?? 'others run on';
        });
        $both = array_values(array_unique($seen));
        sort($both);
        return implode('; ', $both);
    }

    public function notify(): void
    {
        $channel = $this->row->table('channel');
        $ready = $this->create('notify', 'ready bool');
        $payloads = array_map(fn ($i) => "message $i", range(0, 49));
        $heard = $this->sessions(function (Session $session, int $n) use ($channel, $ready, $payloads) {
            if ($n === 0) {
                $session->query("LISTEN $channel");
                $this->row->open()->query("INSERT INTO $ready VALUES (true)");
                return array_map(fn () => $session->heard(20), $payloads);
            }
            if ($n === 1) {
                while ($session->query("SELECT * FROM $ready")->rows === []) {
                    usleep(10_000);
                }
                foreach ($payloads as $payload) {
                    $session->query('SELECT pg_notify($1, $2)', [$channel, $payload]);
                }
                return null;
            }
            foreach ($payloads as $payload) {
                $session->transaction(fn () => $session->query('SELECT CAST($1 AS text)', [$payload]));
            }
        }, max(2, $this->crowd->size));
        self::equal($payloads, $heard[0]);
    }

    public function session_set(): void
    {
        $names = ['application_name', 'TimeZone', 'search_path', 'my.name'];
        $this->sessions(function (Session $session, int $n) use ($names) {
            $look = fn () => array_map(
                fn ($name) => $session->query('SELECT current_setting($1, true) AS v', [$name])->rows[0]['v'], $names);
            $before = $look();
            $mine = ["client $n", self::ZONES[$n % count(self::ZONES)], "s$n, public", "name $n"];
            $session->query("SET application_name = '{$mine[0]}'");
            $session->query("SET TimeZone = '{$mine[1]}'");
            $session->query("SET search_path = {$mine[2]}");
            $session->query("SET my.name = '{$mine[3]}'");
            for ($i = 0; $i < ($this->quick ? 20 : 50); $i++) {
                $session->transaction(function () use ($session, $look, $mine, $i) {
                    self::equal($mine, $look());
                    if ($i % 10 === 0) {
                        $session->query("SET LOCAL my.name = 'local'");
                        self::equal('local', $look()[3]);
                    }
                });
                self::equal($mine, $look());
            }
            foreach ($names as $name) {
                $session->query("RESET $name");
            }
            self::equal([...array_slice($before, 0, 3), ''], $look());
        });
    }

    public function schema_change(): string
    {
        return $this->agreed($this->sessions(function (Session $session, int $n) {
            $seen = [];
            foreach ([false, true] as $inside) {
                $table = $this->create("schema_change_$n", 'id int, value int');
                $other = fn (string $text) => $this->row->open()->query($text);
                $other("INSERT INTO $table VALUES (1, 7)");
                $select = fn () => json_encode($session->query("SELECT * FROM $table WHERE id = $1", [1])->rows);
                foreach ([null, "ADD COLUMN extra text DEFAULT 'new'", 'ALTER COLUMN value TYPE text'] as $change) {
                    if ($change) {
                        $other("ALTER TABLE $table $change");
                    }
                    for ($i = 0; $i < 6; $i++) {
                        try {
                            $seen[] = $inside ? $session->transaction($select) : $select();
                        } catch (Refused $error) {
                            $seen[] = $error->getMessage();
                        }
                    }
                }
            }
            return implode(' ', $seen);
        }));
    }

    // -- what the cases are written in ---------------------------------------------------------------

    private function create(string $name, string $columns): string
    {
        $table = $this->row->table($name);
        $session = $this->row->open();
        $session->script("SET client_min_messages = warning; DROP TABLE IF EXISTS $table");
        $session->query("CREATE TABLE $table ($columns)");
        return $table;
    }

    private function sessions(Closure $body, ?int $size = null): array
    {
        return $this->crowd->run(fn (int $n) => $body($this->row->open(), $n), $size);
    }

    private function agreed(array $seen): string
    {
        if (count(array_unique($seen)) !== 1) {
            throw new Failure('clients saw different things: ' . implode(' | ', array_unique($seen)));
        }
        return $seen[0];
    }

    private function refusal(Closure $work): string
    {
        try {
            $work();
        } catch (Refused $error) {
            return $error->getMessage();
        }
        throw new Failure('no error');
    }

    private static function undone(Closure $work): void
    {
        try {
            $work();
        } catch (Undo) {
            return;
        }
        throw new Failure('no error');
    }

    private static function equal(mixed $expected, mixed $actual): void
    {
        if ($expected !== $actual) {
            $show = fn ($value) => mb_strimwidth(json_encode($value, JSON_UNESCAPED_UNICODE), 0, 200);
            throw new Failure("expected {$show($expected)}, not {$show($actual)}");
        }
    }
}
