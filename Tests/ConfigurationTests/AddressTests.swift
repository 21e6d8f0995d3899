import Configuration
import Testing

@Suite("Addresses")
struct AddressTests {
  @Test(
    "WebSocket URLs that are right",
    arguments: [
      ("wss://a.example/ws/v0/", true, "a.example", 443, "/ws/v0/", "a.example", "/ws/v0/"),
      ("WS://LocalHost:8000", false, "localhost", 8000, "", "localhost:8000", "/"),
      (
        "wss://[2001:DB8::1]:443?a=/b", true, "2001:db8::1", 443, "?a=/b", "[2001:db8::1]", "/?a=/b"
      ),
      ("ws://127.0.0.1/x?y@z", false, "127.0.0.1", 80, "/x?y@z", "127.0.0.1", "/x?y@z"),
      ("ws://a_b-c:65535/", false, "a_b-c", 65535, "/", "a_b-c:65535", "/"),
    ])
  func rightURLs(
    text: String, secure: Bool, host: String, port: Int, path: String, authority: String,
    target: String
  ) throws {
    let url = try WebSocketURL(text)
    #expect(url.secure == secure)
    #expect(url.host == host)
    #expect(url.port == port)
    #expect(url.path == path)
    #expect(url.authority == authority)
    #expect(url.requestTarget == target)
    #expect(try WebSocketURL(url.description) == url)
  }

  @Test(
    "WebSocket URLs that are wrong",
    arguments: [
      "", "wss", "wss:", "wss:/a", "wss://", "wss:///ws", "wss://:1", "https://a", "://a",
      "a.example/ws/v0/",
      "wss://u@a", "wss://u:p@a/", "wss://a#f", "wss://a/#", "wss://a b/", "wss://a/\r\nX: y",
      "wss://\u{e9}.example",
      "wss://a:", "wss://a:0", "wss://a:65536", "wss://a:+1", "wss://a:1x", "wss://a:000001",
      "wss://a:1:2",
      "wss://::1/", "wss://[::1", "wss://[::1]x", "wss://[a]", "wss://[]", "wss://[127.0.0.1]",
      "wss://1.2.3",
      "wss://1.2.3.256", "wss://0x7f.1", "wss://a..b", "wss://.a", "wss://a.", "wss://a%20b",
      "wss://a\\b", "wss://a,b",
      "wss://" + String(repeating: "a", count: 64),
      "wss://" + String(repeating: "a.", count: 130) + "a",
      "wss://a/" + String(repeating: "p", count: 2048),
    ])
  func wrongURLs(text: String) {
    #expect(throws: InvalidText.self) { try WebSocketURL(text) }
  }

  @Test(
    "Which hosts are this machine",
    arguments: [
      ("localhost", true), ("127.0.0.1", true), ("127.9.9.9", true), ("[::1]", true),
      ("[0:0::0:1]", true),
      ("localhost.example", false), ("127.example", false), ("128.0.0.1", false), ("[::2]", false),
      ("[::]", false),
      ("0.0.0.0", false), ("[::ffff:127.0.0.1]", false),
    ])
  func loopback(host: String, isLoopback: Bool) throws {
    #expect(try WebSocketURL("ws://\(host)/").isLoopback == isLoopback)
    let rest = "identity.hotkey_file = '/h'\ndispatch.command = ['/c']\n"
    #expect(problems("facilitator.url = 'ws://\(host)/'\n" + rest).isEmpty == isLoopback)
    #expect(
      problems("facilitator = {url = 'ws://\(host)/', allow_plaintext = true}\n" + rest).isEmpty)
  }

  @Test("Proxies")
  func proxies() throws {
    let proxy = try ProxyURL("http://us%3Aer:p%C3%A9@Proxy.Example:3128/")
    #expect(proxy.host == "proxy.example")
    #expect(proxy.port == 3128)
    #expect(proxy.credentials == "us:er:p\u{e9}")
    #expect(proxy.description == "http://proxy.example:3128")
    #expect(try ProxyURL("proxy:80").credentials == nil)
    #expect(try ProxyURL("u:p@[::1]:80").description == "http://[::1]:80")
    for wrong in [
      "", "proxy", "http://proxy", "https://proxy:1", "socks5://proxy:1", "http://proxy:1/path",
      "http://%@p:1",
      "http://%4@p:1", "http://%4g@p:1", "http://%ff@p:1",
    ] {
      #expect(throws: InvalidText.self, "\(wrong)") { try ProxyURL(wrong) }
    }
  }

  @Test("Addresses to listen at")
  func listenAddresses() throws {
    let address = try ListenAddress("0.0.0.0:1")
    #expect(address.host == "0.0.0.0")
    #expect(address.port == 1)
    #expect(!address.isIPv6)
    #expect(try ListenAddress("[::]:65535").isIPv6)
    for (text, isLoopback) in [
      ("127.0.0.1:1", true), ("127.9.9.9:1", true), ("[::1]:1", true), ("0.0.0.0:1", false), ("[::]:1", false),
      ("192.0.2.1:1", false),
    ] {
      #expect(try ListenAddress(text).isLoopback == isLoopback, "\(text)")
    }
    for wrong in [
      "", ":9464", "9464", "localhost:9464", "127.0.0.1", "::1:9464", "[::1]", "1.2.3:4",
      "1.2.3.4:x",
    ] {
      #expect(throws: InvalidText.self, "\(wrong)") { try ListenAddress(wrong) }
    }
  }
}
