/*
 * What shall go wrong, as a control file says, a rule a line ("#" begins a comment):
 *
 * - delay N: a completion comes up to N instructions late, at random: out of order, too
 * - unreadable NAMESPACE FIRST COUNT: reads of these blocks fail, for good
 * - after N FAULT ...: once N more read and write commands were fetched, do this to the next ones:
 * - error STATUS COUNT: status type and code, hexadecimal; 4000 added: do not retry
 * - lose COUNT: carried out, and never completed
 * - stall COUNT: not carried out until it is aborted
 * - corrupt COUNT: one bit of the data read is wrong
 * - garbage COUNT: completed, and before it a command that nobody gave
 * - die: fatal status until it is reset
 * - dead: fatal status for ever
 *
 * Rules of what comes after something follow one another: the second one counts from where the
 * first one was done. The first one counts from the first write on, for until then it is the
 * firmware that reads.
 */
#ifndef TESTS_EMU_BOCHS_NVME_FAULTS_H
#define TESTS_EMU_BOCHS_NVME_FAULTS_H

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/stat.h>

struct Fault {
	enum Kind { NONE, ERROR, LOSE, STALL, CORRUPT, GARBAGE, DIE, DEAD } kind = NONE;
	uint16_t status = 0;

	const char *name() const
	{
		static const char *const names[] = {
			"none", "error", "lose", "stall", "corrupt", "garbage", "die", "dead"};

		return names[kind];
	}
};

class Faults
{
      public:
	void open(const char *file)
	{
		path = file ? file : "";
		read_if_changed();
	}

	bool dead() const
	{
		return is_dead;
	}

	bool is_readable(uint32_t name_space, uint64_t block, uint64_t count) const
	{
		for (const Place &bad : unreadable) {
			if (bad.name_space == name_space && block < bad.first + bad.count &&
				bad.first < block + count)
				return false;
		}
		return true;
	}

	uint64_t delay_ticks()
	{
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		return delay ? (state >> 33) % delay : 0;
	}

	/* What happens to the command that is fetched now. */
	Fault next(bool is_read, bool is_write)
	{
		read_if_changed();
		begun |= is_write;
		if (rules.empty() || !begun || (!is_read && !is_write))
			return Fault();
		Rule &rule = rules.front();

		if (rule.after > 0) {
			rule.after--;
			return Fault();
		}
		if (rule.fault.kind == Fault::CORRUPT && !is_read)
			return Fault();
		Fault fault = rule.fault;

		if (--rule.count == 0)
			rules.pop_front();
		is_dead |= fault.kind == Fault::DEAD;
		return fault;
	}

      private:
	struct Rule {
		uint64_t after, count;
		Fault fault;
	};

	struct Place {
		uint32_t name_space;
		uint64_t first, count;
	};

	std::string path;
	struct timespec read_at = {0, 0};
	std::deque<Rule> rules;
	std::deque<Place> unreadable;
	uint64_t delay = 0, state = 1;
	bool is_dead = false, begun = false;

	void read_if_changed()
	{
		struct stat facts;

		if (path.empty() || stat(path.c_str(), &facts) != 0 ||
			(facts.st_mtim.tv_sec == read_at.tv_sec &&
				facts.st_mtim.tv_nsec == read_at.tv_nsec))
			return;
		read_at = facts.st_mtim;
		rules.clear();
		unreadable.clear();
		std::ifstream file(path);

		for (std::string line; std::getline(file, line);)
			read_line(line.substr(0, line.find('#')));
	}

	void read_line(const std::string &line)
	{
		static const char *const kinds[] = {
			"", "error", "lose", "stall", "corrupt", "garbage", "die", "dead"};
		std::istringstream words(line);
		std::string word;
		Rule rule = {0, 1, Fault()};

		if (!(words >> word))
			return;
		if (word == "delay") {
			words >> delay;
			return;
		}
		if (word == "unreadable") {
			Place bad = {0, 0, 0};

			words >> bad.name_space >> bad.first >> bad.count;
			unreadable.push_back(bad);
			return;
		}
		words >> rule.after >> word;
		for (int kind = Fault::ERROR; kind <= Fault::DEAD; kind++) {
			if (word == kinds[kind])
				rule.fault.kind = (Fault::Kind)kind;
		}
		if (rule.fault.kind == Fault::ERROR)
			words >> std::hex >> rule.fault.status >> std::dec;
		if (rule.fault.kind < Fault::DIE)
			words >> rule.count;
		if (words.fail() || rule.fault.kind == Fault::NONE || rule.count == 0) {
			fprintf(stderr, "%s: \"%s\" is no rule\n", path.c_str(), line.c_str());
			exit(2);
		}
		rules.push_back(rule);
	}
};

#endif
