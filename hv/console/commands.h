/*
 * The console's commands: one table. A command_...() of whichever header gets its @count words,
 * words[0] among them, as many as the table allows; they lie in the line that was typed. All run on
 * the boot CPU with the lives lock held, so that no VM comes or goes meanwhile.
 */
#ifndef HV_CONSOLE_COMMANDS_H
#define HV_CONSOLE_COMMANDS_H

/* Run one line. It is cut into words in place. An empty line does nothing. */
void commands_run(char *line);

#endif
