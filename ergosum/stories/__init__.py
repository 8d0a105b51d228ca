"""Stories: what the command line tells in pictures: sheets of the data, a run's report, the demo."""
