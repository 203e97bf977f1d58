"""The benchmark company: Parquet tables of the written contract, made by seed, as large as one asks for.

20,000 accounts over 900 days. Activity is log-normal (sigma 1.3) over accounts and beta-skewed over users and
features; 40% of the accounts start late and 35% end early. Of all rows 1% are recorded 1 to 45 days late, the
others within the hour; 0.5% are corrected later under the same key (another feature, priority, page … or another
time). Tickets, complaints, contracts and contacts that end have a second version from the day on which the end
became known. Files are in the order of arrival.

Usage is made day by day and written as it is made: what memory holds does not grow with the events.
"""

from tests.bench.data.company import Company
from tests.bench.data.files import SIDE_TABLES, write_company

__all__ = ["SIDE_TABLES", "Company", "write_company"]
