# frozen_string_literal: true

# Runs the cases of the driver matrix for the rows named (default: all), one row behind the other;
# prints one line of JSON per row and case.

require 'json'
require_relative 'cases'
require_relative 'with_pg'
require_relative 'with_active_record'

CASE_LIMIT = 120 # seconds, also for a machine that is busy with something else
ROWS = [*pg_rows, *active_record_rows].freeze

def outcome_of(row, name)
  return { result: 'absent', detail: row.absent[name] } if row.absent.key?(name)

  stage = Stage.new(row)
  work = Thread.new { Cases.new(stage).public_send(name) }
  work.report_on_exception = false
  raise "not done within #{CASE_LIMIT} s" unless work.join(CASE_LIMIT)

  { result: 'pass', observed: work.value.is_a?(String) ? work.value : '' }
rescue StandardError => e
  warn "#{row.name}: #{name}: #{e.full_message(highlight: false)}"
  { result: 'fail', detail: e.message.to_s[0, 500] }
ensure
  work&.kill
  stage&.finish
end

$stdout.sync = true
connection = PG.connect
connection.exec(<<~SQL)
  DO $$ BEGIN
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
  END $$
SQL
connection.close

wanted = ENV.key?('CASES') ? ENV['CASES'].split(',') : Cases::NAMES
ROWS.select { |row| ARGV.empty? || ARGV.include?(row.name) }.each do |row|
  (Cases::NAMES & wanted).each do |name|
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    outcome = outcome_of(row, name)
    seconds = (Process.clock_gettime(Process::CLOCK_MONOTONIC) - start).round(2)
    puts JSON.generate({ row: row.name, version: row.version, case: name, **outcome, seconds: })
  end
end
exit!(0) # whatever a failed case has left open
