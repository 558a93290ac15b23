"""Operations, one file each. None is declared yet: issue on consent and on documents bring the first."""
