<?php

declare(strict_types=1);

/** PDO: prepared on the server (its default), emulated, or with parameters and no name. */
final class PdoSession extends Session
{
    private PDO $pdo;
    /** @var array<string, PDOStatement> */
    private array $kept = [];

    /** @param array<int, mixed> $attributes */
    public function __construct(private readonly array $attributes = [], private readonly bool $keep = false)
    {
        $this->pdo = $this->connect('');
    }

    private function connect(string $more): PDO
    {
        $dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s', getenv('PGHOST'), getenv('PGPORT'), getenv('PGDATABASE'));
        return new PDO($dsn . $more, getenv('PGUSER'), getenv('PGPASSWORD'), $this->attributes);
    }

    public function query(string $text, ?array $values = null): Result
    {
        return $this->told(fn () => $this->run($this->pdo, $text, $values));
    }

    private function run(PDO $pdo, string $text, ?array $values): Result
    {
        if ($values === null) {
            $statement = $pdo->query($text);
        } else {
            $statement = $this->prepare($pdo, $text);
            foreach ($values as $i => $value) {
                $type = is_int($value) ? PDO::PARAM_INT : (is_bool($value) ? PDO::PARAM_BOOL : PDO::PARAM_STR);
                $statement->bindValue($i + 1, $value, is_resource($value) ? PDO::PARAM_LOB : $type);
            }
            $statement->execute();
        }
        $rows = $statement->columnCount() > 0 ? $statement->fetchAll(PDO::FETCH_ASSOC) : [];
        return new Result($rows, $statement->rowCount());
    }

    private function prepare(PDO $pdo, string $text): PDOStatement
    {
        $marked = preg_replace('/\$\d+/', '?', $text);
        if (!$this->keep) {
            return $pdo->prepare($marked); // dropped by DEALLOCATE as soon as it has been used
        }
        return $this->kept[$marked] ??= $pdo->prepare($marked);
    }

    private function told(Closure $work): mixed
    {
        try {
            return $work();
        } catch (PDOException $error) {
            [$state, , $message] = $error->errorInfo ?? ['', '', $error->getMessage()];
            throw new Refused($state, preg_replace('/^ERROR: +/', '', strtok((string) $message, "\n")));
        }
    }

    public function script(string $text): void
    {
        $this->told(fn () => $this->pdo->exec($text));
    }

    public function transaction(Closure $work, string $isolation = 'read committed'): mixed
    {
        $this->pdo->beginTransaction();
        try {
            $this->query("SET TRANSACTION ISOLATION LEVEL $isolation");
            $result = $work();
        } catch (Throwable $error) {
            $this->pdo->rollBack();
            throw $error;
        }
        $this->pdo->commit();
        return $result;
    }

    public function copyIn(string $table, array $lines): void
    {
        $this->told(fn () => $this->pdo->pgsqlCopyFromArray($table, $lines));
    }

    public function copyOut(string $table): array
    {
        return $this->pdo->pgsqlCopyToArray($table);
    }

    /** By a time limit: PDO has no call for it. */
    public function cancelled(string $text, float $seconds): void
    {
        $hurried = $this->connect(sprintf(";options='-c statement_timeout=%d'", $seconds * 1000));
        $this->told(fn () => $this->run($hurried, $text, null));
    }

    public function heard(float $seconds): ?string
    {
        return $this->pdo->pgsqlGetNotify(PDO::FETCH_ASSOC, (int) ($seconds * 1000))['payload'] ?? null;
    }

    public function bytes(string $value): mixed
    {
        $stream = fopen('php://temp', 'r+b');
        fwrite($stream, $value);
        rewind($stream);
        return $stream;
    }

    public function bytesOf(mixed $value): string
    {
        return stream_get_contents($value);
    }
}

/** @return list<Row> */
function pdoRows(): array
{
    $version = phpversion('pdo_pgsql');
    $absent = ['batch' => 'PDO runs one statement at a time'];
    return [
        new Row('PDO', $version, fn () => new PdoSession(), $absent),
        new Row('PDO, statements kept', $version, fn () => new PdoSession(keep: true), $absent),
        new Row('PDO, emulated prepares', $version, fn () => new PdoSession([PDO::ATTR_EMULATE_PREPARES => true]), $absent),
        new Row(
            'PDO, prepares disabled',
            $version,
            fn () => new PdoSession([PDO::PGSQL_ATTR_DISABLE_PREPARES => true]),
            $absent,
        ),
    ];
}
