// Does --no-multiplex run the target no more often than its counters make necessary, and say so?
import ProfileModel
import Testing

@Suite struct CountingRunsTests {
  @Test func whatNeedsNoCounterTakesOneRun() throws {
    let place = try Workplace()
    let ended = try place.kiviat(
      "profile", "--no-multiplex", "-r", "2", "-F", "0", "-e", "task-clock,page-faults", "-o", "p.kiviat", "--",
      "/bin/true")
    #expect(ended.status == 0, "\(ended)")
    #expect(!ended.errors.contains("--no-multiplex:"))
    let profile = try place.profile()
    #expect(profile.repetitions.count == 2 && profile.settings["counting.runs"] == nil)
  }

  /// Whatever the processor has: the number of runs is what is said and what is recorded.
  @Test func theRunsAreAnnounced() throws {
    let place = try Workplace()
    let ended = try place.kiviat("profile", "--no-multiplex", "-F", "0", "-o", "p.kiviat", "--", "/bin/true")
    #expect(ended.status == 0, "\(ended)")
    let profile = try place.profile()
    let count = profile.repetitions.count
    #expect(profile.settings["counting.runs"] == (count > 1 ? "\(count)" : nil))
    #expect(ended.errors.contains("--no-multiplex: \(count) runs") == (count > 1))
  }
}
