# Net::HTTP of Ruby's standard library, with one connection that is kept for each server.
require "json"
require "net/http"
require "stringio"

def send_request(connection, words)
  method, url, framing, encoded, *headers = words
  request = Net::HTTP.const_get(method.capitalize).new(URI(url))
  headers.each do |header|
    name, value = header.split("=", 2)
    request[name] = value
  end
  body = encoded.unpack1("m0").force_encoding("UTF-8") unless encoded == "-"
  if framing == "chunked"
    request["Transfer-Encoding"] = "chunked"
    request.body_stream = StringIO.new(body)
  else
    request["Expect"] = "100-continue" if framing == "expect"
    request.body = body
  end
  response = connection.request(request)
  text = response.body
  { status: response.code.to_i, body: text.nil? || text.empty? ? nil : JSON.parse(text) }
end

connections = Hash.new do |all, (host, port)|
  connection = Net::HTTP.new(host, port, nil)
  connection.read_timeout = connection.continue_timeout = 20
  connection.max_retries = 0
  all[[host, port]] = connection.start
end

$stdout.sync = true
$stdin.each_line do |line|
  words = line.split
  uri = URI(words[1])
  puts JSON.generate(send_request(connections[[uri.host, uri.port]], words))
rescue StandardError => e
  puts JSON.generate(error: e.inspect)
end
