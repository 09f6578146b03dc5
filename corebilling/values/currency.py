"""Currencies of ISO 4217, and how many decimals their smallest unit has."""

from corebilling.errors import InvalidArgument

# Codes without a smallest unit (metals, test codes) are left out: nobody can be invoiced in them.
_CODES_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
        "GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL "
        "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR "
        "PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
        "TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

EXPONENTS = {code: exponent for exponent, codes in _CODES_BY_EXPONENT.items() for code in codes.split()}
"""Decimals of a currency's smallest unit: 100 cents are a dollar, so USD has 2; JPY has 0."""


def check_currency(code: str) -> str:
    """The code itself.

    Raises:
        InvalidArgument: CURRENCY_UNKNOWN when it is no currency of ISO 4217.
    """
    if code not in EXPONENTS:
        raise InvalidArgument(
            "CURRENCY_UNKNOWN",
            f"'{code}' is no currency; use an ISO 4217 code as in USD.",
            {"currency": code},
        )
    return code
