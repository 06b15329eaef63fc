<?php

declare(strict_types=1);

/** Runs something in several processes at the same time, each with a number. PHP has no threads. */
final class Crowd
{
    private const LIMIT = 120; // seconds, also for a machine that is busy with something else

    public function __construct(public readonly int $size)
    {
    }

    /** @return list<mixed> what each returned; throws what one of them threw */
    public function run(Closure $body, ?int $size = null): array
    {
        $pipes = [];
        foreach (range(0, ($size ?? $this->size) - 1) as $n) {
            [$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
            $child = pcntl_fork();
            if ($child === 0) {
                fclose($ours);
                fwrite($theirs, json_encode($this->report($body, $n), JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION));
                fclose($theirs);
                posix_kill(getmypid(), SIGKILL); // none of the parent's objects is to be torn down here
            }
            fclose($theirs);
            $pipes[$child] = $ours;
        }
        return $this->gather($pipes);
    }

    private function report(Closure $body, int $n): array
    {
        try {
            return ['value' => $body($n)];
        } catch (Throwable $error) {
            fwrite(STDERR, "client $n: $error\n");
            return ['error' => $error->getMessage()];
        }
    }

    /** @param array<int, resource> $pipes */
    private function gather(array $pipes): array
    {
        $deadline = microtime(true) + self::LIMIT;
        $reports = [];
        foreach ($pipes as $child => $pipe) {
            stream_set_timeout($pipe, (int) max(1, $deadline - microtime(true)));
            $reports[] = json_decode((string) stream_get_contents($pipe), true);
            posix_kill($child, SIGKILL);
            pcntl_waitpid($child, $status);
        }
        foreach ($reports as $report) {
            if ($report === null || isset($report['error'])) {
                throw new RuntimeException($report['error'] ?? 'not done within ' . self::LIMIT . ' s');
            }
        }
        return array_column($reports, 'value');
    }
}
