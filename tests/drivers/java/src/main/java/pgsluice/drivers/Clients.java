package pgsluice.drivers;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Threads that work at the same time; none of them keeps the program from ending. */
final class Clients {
    private static final ExecutorService THREADS = Executors.newCachedThreadPool(work -> {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    });

    interface Work {
        /** number: 0, 1, ... */
        void run(int number) throws Exception;
    }

    private Clients() {
    }

    static <T> Future<T> start(Callable<T> work) {
        return THREADS.submit(work);
    }

    /** Runs the work of all of them to its end; then throws what the first of them threw. */
    static void run(int count, Work work) throws Exception {
        List<Future<Void>> running = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int number = i;
            running.add(start(() -> {
                work.run(number);
                return null;
            }));
        }
        Throwable problem = null;
        for (Future<Void> client : running) {
            try {
                client.get();
            } catch (ExecutionException thrown) {
                problem = problem == null ? thrown.getCause() : problem;
            }
        }
        rethrow(problem);
    }

    static void rethrow(Throwable problem) throws Exception {
        if (problem instanceof Error error) {
            throw error;
        }
        if (problem instanceof Exception exception) {
            throw exception;
        }
    }
}
