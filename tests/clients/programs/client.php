<?php
// php client.php KIND: `stream` is file_get_contents and the like, which has a connection for each request; `curl` is the
// curl extension, and `curl-http2` is it with CURL_HTTP_VERSION_2_0, which offers HTTP/2 over plain HTTP.

function send_by_stream(string $method, string $url, array $headers, ?string $body): array
{
    $options = ['method' => $method, 'header' => $headers, 'ignore_errors' => true, 'timeout' => 20];
    if ($body !== null) {
        $options['content'] = $body;
    }
    $stream = @fopen($url, 'r', false, stream_context_create(['http' => $options]));
    if ($stream === false) {
        throw new RuntimeException(error_get_last()['message']);
    }
    $text = stream_get_contents($stream);
    $line = stream_get_meta_data($stream)['wrapper_data'][0];
    return [(int) explode(' ', $line)[1], $text];
}

function send_by_curl(CurlHandle $curl, array $options, string $method, string $url, array $headers, ?string $body): array
{
    curl_reset($curl); // keeps the connections
    curl_setopt_array($curl, $options + [
        CURLOPT_URL => $url,
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_NOBODY => $method === 'HEAD',
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 20,
    ]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
    }
    $text = curl_exec($curl);
    if ($text === false) {
        throw new RuntimeException(curl_error($curl));
    }
    return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $text];
}

$kind = $argv[1];
if ($kind === 'stream') {
    $send = 'send_by_stream';
} else {
    $curl = curl_init();
    $options = $kind === 'curl-http2' ? [CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_2_0] : [];
    $send = fn (...$request) => send_by_curl($curl, $options, ...$request);
}
while (($line = fgets(STDIN)) !== false) {
    [$method, $url, $framing, $encoded] = $words = explode(' ', trim($line));
    $headers = array_map(fn ($word) => implode(': ', explode('=', $word, 2)), array_slice($words, 4));
    if ($framing !== 'sized') {
        $headers[] = $framing === 'chunked' ? 'Transfer-Encoding: chunked' : 'Expect: 100-continue';
    }
    try {
        [$status, $text] = $send($method, $url, $headers, $encoded === '-' ? null : base64_decode($encoded));
        $body = $text === '' ? null : json_decode($text, flags: JSON_THROW_ON_ERROR);
        $response = ['status' => $status, 'body' => $body];
    } catch (Exception $error) {
        $response = ['error' => $error->getMessage()];
    }
    fwrite(STDOUT, json_encode($response) . "\n");
}
