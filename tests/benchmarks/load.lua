-- What wrk sends: the requests of a file, one after the other. Its lines are a path, the name of a header, and
-- then a value of that header for each request.
local requests, sent = {}, 0

function init(args)
  local lines = io.lines(args[1])
  local path, header = lines(), lines()
  for value in lines do
    requests[#requests + 1] = wrk.format("GET", path, { [header] = value })
  end
end

function request()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"refused":%d,"failed":%d,"median_ms":%.3f,"worst_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
