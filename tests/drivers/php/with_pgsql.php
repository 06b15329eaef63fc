<?php

declare(strict_types=1);

/** The extension pgsql, which is libpq in PHP: with parameters, or prepared by name. */
final class PgsqlSession extends Session
{
    private PgSql\Connection $connection;
    /** @var array<string, string> names by text */
    private array $prepared = [];

    public function __construct(private readonly bool $named = false)
    {
        $this->connection = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
    }

    public function query(string $text, ?array $values = null): Result
    {
        if ($values === null) {
            pg_send_query($this->connection, $text);
        } elseif ($this->named) {
            pg_send_execute($this->connection, $this->nameOf($text), self::written($values));
        } else {
            pg_send_query_params($this->connection, $text, self::written($values));
        }
        return $this->result();
    }

    private function nameOf(string $text): string
    {
        if (!isset($this->prepared[$text])) {
            $name = 's' . count($this->prepared);
            pg_send_prepare($this->connection, $name, $text);
            $this->result();
            $this->prepared[$text] = $name;
        }
        return $this->prepared[$text];
    }

    private static function written(array $values): array
    {
        return array_map(fn ($value) => is_bool($value) ? ($value ? 't' : 'f') : $value, $values);
    }

    private function result(): Result
    {
        $last = null;
        $refused = null;
        while ($result = pg_get_result($this->connection)) {
            $last = $result;
            $state = pg_result_error_field($result, PGSQL_DIAG_SQLSTATE);
            if ($state) {
                $refused = new Refused($state, pg_result_error_field($result, PGSQL_DIAG_MESSAGE_PRIMARY));
            }
        }
        return $refused ? throw $refused : new Result(pg_fetch_all($last), pg_affected_rows($last));
    }

    public function script(string $text): void
    {
        $this->query($text);
    }

    public function transaction(Closure $work, string $isolation = 'read committed'): mixed
    {
        $this->query("BEGIN ISOLATION LEVEL $isolation");
        try {
            $result = $work();
        } catch (Throwable $error) {
            $this->query('ROLLBACK');
            throw $error;
        }
        $this->query('COMMIT');
        return $result;
    }

    public function copyIn(string $table, array $lines): void
    {
        if (!@pg_copy_from($this->connection, $table, $lines)) {
            $text = strtok(pg_last_error($this->connection), "\n");
            throw new Refused('', preg_replace('/^ERROR: +/', '', $text));
        }
    }

    public function copyOut(string $table): array
    {
        return pg_copy_to($this->connection, $table);
    }

    public function cancelled(string $text, float $seconds): void
    {
        pg_send_query($this->connection, $text);
        usleep((int) ($seconds * 1e6));
        pg_cancel_query($this->connection); // waits for the result and throws it away
        throw new Refused('', 'cancelled');
    }

    public function heard(float $seconds): ?string
    {
        $deadline = microtime(true) + $seconds;
        while (!($notification = pg_get_notify($this->connection)) && microtime(true) < $deadline) {
            $read = [pg_socket($this->connection)];
            $none = null;
            stream_select($read, $none, $none, 0, 200_000);
            pg_consume_input($this->connection);
        }
        return $notification ? $notification['payload'] : null;
    }

    public function bytes(string $value): mixed
    {
        return '\\x' . bin2hex($value);
    }

    public function bytesOf(mixed $value): string
    {
        return pg_unescape_bytea($value);
    }
}

/** @return list<Row> */
function pgsqlRows(): array
{
    $version = phpversion('pgsql');
    $absent = ['batch' => 'one statement at a time'];
    return [
        new Row('pgsql (PHP)', $version, fn () => new PgsqlSession(), $absent),
        new Row('pgsql (PHP), prepared', $version, fn () => new PgsqlSession(named: true), $absent),
    ];
}
